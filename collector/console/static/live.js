// Code generated from collector/console/generate/live.ts; DO NOT EDIT.
(() => {
  // generate/live.ts
  var table = document.getElementById("alerts");
  var rows = document.getElementById("rows");
  var fresh = document.getElementById("fresh");
  var state = document.getElementById("live");
  var most = 200;
  if (table && rows && fresh && state && table.dataset.live) {
    follow(table, table.dataset.live, rows, fresh, state);
  }
  function follow(table2, address, rows2, fresh2, state2) {
    const waiting = [];
    let reload = false;
    const say = (on) => {
      state2.textContent = (on ? state2.dataset.connected : state2.dataset.broken) ?? "";
      state2.classList.toggle("on", on);
      state2.classList.toggle("off", !on);
    };
    const busy = () => table2.matches(":hover") || table2.contains(document.activeElement) || window.scrollY > table2.offsetTop;
    const parse = (html) => {
      const holder = document.createElement("template");
      holder.innerHTML = html;
      return holder.content.querySelector("tr");
    };
    const put = (news) => {
      const row = parse(news.html);
      if (!row) return;
      document.getElementById("empty")?.remove();
      row.classList.add("arrived");
      const old = document.getElementById(row.id);
      if (old) old.replaceWith(row);
      else rows2.prepend(row);
      while (rows2.children.length > most) rows2.lastElementChild?.remove();
    };
    const count = () => {
      fresh2.hidden = waiting.length === 0 && !reload;
      fresh2.textContent = (fresh2.dataset.text ?? "") + (waiting.length > 0 ? ": " + waiting.length : "");
    };
    fresh2.addEventListener("click", () => {
      if (reload) {
        location.reload();
        return;
      }
      waiting.splice(0).forEach(put);
      count();
      window.scrollTo({ top: 0 });
    });
    const source = new EventSource(address);
    source.addEventListener("open", () => say(true));
    source.addEventListener("error", () => say(false));
    source.addEventListener("alert", (event) => {
      const news = JSON.parse(event.data);
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
})();
