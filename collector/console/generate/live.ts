// The live list: rows come from the server as they would stand on the page. A row that is there is replaced where it
// stands. A new row goes on top, unless the reader is in the list (pointer or focus) or has scrolled: then it waits,
// counted, until the reader asks.

interface News {
	id: string;
	new: boolean;
	html: string;
}

const table = document.getElementById("alerts");
const rows = document.getElementById("rows");
const fresh = document.getElementById("fresh") as HTMLButtonElement | null;
const state = document.getElementById("live");
const most = 200; // rows kept on the page

if (table && rows && fresh && state && table.dataset.live) {
	follow(table, table.dataset.live, rows, fresh, state);
}

function follow(table: HTMLElement, address: string, rows: HTMLElement, fresh: HTMLButtonElement, state: HTMLElement) {
	const waiting: News[] = [];
	let reload = false;

	const say = (on: boolean) => {
		state.textContent = (on ? state.dataset.connected : state.dataset.broken) ?? "";
		state.classList.toggle("on", on);
		state.classList.toggle("off", !on);
	};
	const busy = () => table.matches(":hover") || table.contains(document.activeElement) || window.scrollY > table.offsetTop;

	const parse = (html: string): HTMLElement | null => {
		const holder = document.createElement("template");
		holder.innerHTML = html;
		return holder.content.querySelector("tr");
	};
	const put = (news: News) => {
		const row = parse(news.html);
		if (!row) return;
		document.getElementById("empty")?.remove();
		row.classList.add("arrived");
		const old = document.getElementById(row.id);
		if (old) old.replaceWith(row);
		else rows.prepend(row);
		while (rows.children.length > most) rows.lastElementChild?.remove();
	};
	const count = () => {
		fresh.hidden = waiting.length === 0 && !reload;
		fresh.textContent = (fresh.dataset.text ?? "") + (waiting.length > 0 ? ": " + waiting.length : "");
	};

	fresh.addEventListener("click", () => {
		if (reload) {
			location.reload();
			return;
		}
		waiting.splice(0).forEach(put);
		count();
		window.scrollTo({ top: 0 });
	});

	const source = new EventSource(address); // when it comes back, the server tells what came meanwhile
	source.addEventListener("open", () => say(true));
	source.addEventListener("error", () => say(false));
	source.addEventListener("alert", (event) => {
		const news = JSON.parse(event.data) as News;
		const at = waiting.findIndex((w) => w.id === news.id);
		if (at >= 0) waiting[at] = news;
		else if (document.getElementById("alert-" + news.id)) put(news);
		else if (!news.new) return;
		else if (busy()) waiting.push(news);
		else put(news);
		count();
	});
	source.addEventListener("reload", () => {
		reload = true;
		count();
	});
}
