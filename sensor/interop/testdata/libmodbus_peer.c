/* Runs libmodbus' client and server against each other, and reports what each of them says.
 *
 * usage: libmodbus_peer SERVER_PORT CLIENT_PORT    with CLIENT_PORT 0 the server alone, for one connection
 *
 * The client reports each call's result. The server reports which of its coils and registers each request has changed. */
#include <errno.h>
#include <modbus/modbus.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { COILS = 300, REGISTERS = 200 };

static modbus_mapping_t *map;
static modbus_t *server;
static int listener;
static pthread_mutex_t output = PTHREAD_MUTEX_INITIALIZER;

/* changes prints what differs from before and notes it. */
static void changes(uint8_t *coils, uint16_t *registers)
{
	int n = 0;
	pthread_mutex_lock(&output);
	for (int i = 0; i < COILS; i++)
		if (coils[i] != map->tab_bits[i])
			printf("%s[\"coil\",%d,%d]", n++ ? "," : "{\"set\":\"server\",\"changed\":[", i, map->tab_bits[i]);
	for (int i = 0; i < REGISTERS; i++)
		if (registers[i] != map->tab_registers[i])
			printf("%s[\"register\",%d,%d]", n++ ? "," : "{\"set\":\"server\",\"changed\":[", i, map->tab_registers[i]);
	if (n)
		printf("]}\n");
	fflush(stdout);
	pthread_mutex_unlock(&output);
	memcpy(coils, map->tab_bits, COILS);
	memcpy(registers, map->tab_registers, sizeof(uint16_t) * REGISTERS);
}

static void *serve(void *unused)
{
	uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH], coils[COILS] = {0};
	uint16_t registers[REGISTERS] = {0};
	if (modbus_tcp_accept(server, &listener) < 0)
		return unused;
	for (;;) {
		int n = modbus_receive(server, query);
		if (n < 0)
			return unused;
		if (n > 0 && modbus_reply(server, query, n, map) >= 0)
			changes(coils, registers);
	}
}

/* result prints a call: what it returned, and the values that it read or wrote. */
static void result(int fc, int addr, int count, int rc, const char *word, const uint8_t *bits, const uint16_t *words)
{
	pthread_mutex_lock(&output);
	printf("{\"set\":\"client\",\"fc\":%d,\"addr\":%d,\"count\":%d", fc, addr, count);
	if (rc < 0)
		printf(",\"exception\":%d", errno - MODBUS_ENOBASE);
	if (rc >= 0 || strcmp(word, "wrote") == 0) {
		printf(",\"%s\":[", word);
		for (int i = 0; i < count; i++)
			printf("%s%d", i ? "," : "", bits ? bits[i] : words[i]);
		printf("]");
	}
	printf("}\n");
	fflush(stdout);
	pthread_mutex_unlock(&output);
}

static void call(modbus_t *c)
{
	uint8_t bits[COILS] = {0}, id[256];
	uint16_t words[REGISTERS] = {0};
	static const int spans[][2] = {{0, 1}, {3, 19}, {100, 200}, {290, 20}};
	for (size_t i = 0; i < sizeof spans / sizeof *spans; i++) { /* the last is out of range */
		int a = spans[i][0], n = spans[i][1];
		for (int k = 0; k < n; k++)
			bits[k] = (k * 7 + a) % 3 == 0;
		result(15, a, n, modbus_write_bits(c, a, n, bits), "wrote", bits, NULL);
		result(1, a, n, modbus_read_bits(c, a, n, bits), "read", bits, NULL);
		result(2, a, n, modbus_read_input_bits(c, a, n, bits), "read", bits, NULL);
		a /= 2, n = n / 2 + 1;
		for (int k = 0; k < n; k++)
			words[k] = (uint16_t)(k * 2654 + a + 1);
		result(16, a, n, modbus_write_registers(c, a, n, words), "wrote", NULL, words);
		result(3, a, n, modbus_read_registers(c, a, n, words), "read", NULL, words);
		result(4, a, n, modbus_read_input_registers(c, a, n, words), "read", NULL, words);
	}
	for (int on = 1; on >= 0; on--) {
		uint8_t bit = (uint8_t)on;
		uint16_t word = (uint16_t)(on ? 0xbeef : 0);
		result(5, 17, 1, modbus_write_bit(c, 17, on), "wrote", &bit, NULL);
		result(6, 23, 1, modbus_write_register(c, 23, word), "wrote", NULL, &word);
		result(6, 2300, 1, modbus_write_register(c, 2300, word), "wrote", NULL, &word);
	}
	int rc = modbus_mask_write_register(c, 3, 0xf2, 0x25);
	printf("{\"set\":\"client\",\"fc\":22,\"addr\":3,\"masks\":[%d,%d]}\n", 0xf2, 0x25);
	if (rc < 0)
		exit(2);
	uint16_t wrote[2] = {1234, 65535};
	rc = modbus_write_and_read_registers(c, 31, 2, wrote, 30, 4, words);
	result(23, 30, 4, rc, "read", NULL, words);
	rc = modbus_report_slave_id(c, sizeof id, id);
	if (rc < 2)
		exit(3);
	printf("{\"set\":\"client\",\"fc\":17,\"running\":%s,\"server_id\":\"%.*s\"}\n", id[1] ? "true" : "false", rc - 2, id + 2);
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 64;
	map = modbus_mapping_new(COILS, COILS, REGISTERS, REGISTERS);
	for (int i = 0; i < COILS; i++)
		map->tab_input_bits[i] = i % 5 == 0;
	for (int i = 0; i < REGISTERS; i++)
		map->tab_input_registers[i] = (uint16_t)(65535 - 300 * i);
	server = modbus_new_tcp("127.0.0.1", atoi(argv[1]));
	listener = modbus_tcp_listen(server, 1);
	if (listener < 0)
		return 1;
	printf("ready\n");
	fflush(stdout);
	if (atoi(argv[2]) == 0) {
		serve(NULL);
		return 0;
	}
	pthread_t thread;
	pthread_create(&thread, NULL, serve, NULL);
	modbus_t *c = modbus_new_tcp("127.0.0.1", atoi(argv[2]));
	if (modbus_connect(c) < 0)
		return 1;
	call(c);
	modbus_close(c);
	pthread_join(thread, NULL);
	return 0;
}
