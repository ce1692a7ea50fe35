/* Carries out writes between libmodbus' client and server, and reports what the client says of each.
 *
 * usage: libmodbus_acts SERVER_PORT CLIENT_PORT PATIENCE    with CLIENT_PORT 0 the server alone, until it is ended
 *
 * Reads lines "function address value select"; PATIENCE is how long the client waits for an answer, in milliseconds. */
#include <errno.h>
#include <modbus/modbus.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

static modbus_mapping_t *map;
static modbus_t *server;
static int listener;

static void *serve(void *unused)
{
	uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH];
	for (;;) {
		if (modbus_tcp_accept(server, &listener) < 0)
			return unused;
		for (;;) {
			int n = modbus_receive(server, query);
			if (n < 0)
				break;
			if (n > 0)
				modbus_reply(server, query, n, map);
		}
		modbus_close(server);
	}
}

static int act(modbus_t *c, int fc, int addr, int value)
{
	uint8_t bits[5];
	uint16_t words[4] = {(uint16_t)value, 9}, read[4];
	for (int i = 0; i < 5; i++)
		bits[i] = (uint8_t)(value >> i & 1);
	switch (fc) {
	case 5:
		return modbus_write_bit(c, addr, value);
	case 6:
		return modbus_write_register(c, addr, (uint16_t)value);
	case 15:
		return modbus_write_bits(c, addr, 5, bits);
	case 16:
		return modbus_write_registers(c, addr, 2, words);
	case 22:
		return modbus_mask_write_register(c, addr, 0xff00, (uint16_t)value);
	case 23:
		return modbus_write_and_read_registers(c, addr, 2, words, 10, 3, read);
	}
	exit(65);
}

int main(int argc, char **argv)
{
	if (argc != 4)
		return 64;
	int fc, addr, value, selects, port = atoi(argv[2]);
	long patience = atol(argv[3]);
	map = modbus_mapping_new(200, 200, 200, 200);
	server = modbus_new_tcp("127.0.0.1", atoi(argv[1]));
	listener = modbus_tcp_listen(server, 1);
	if (listener < 0)
		return 1;
	printf("ready\n");
	fflush(stdout);
	if (port == 0) {
		serve(NULL);
		return 0;
	}
	pthread_t thread;
	pthread_create(&thread, NULL, serve, NULL);
	modbus_t *c = modbus_new_tcp("127.0.0.1", port);
	modbus_set_slave(c, 1);
	modbus_set_response_timeout(c, (uint32_t)(patience / 1000), (uint32_t)(patience % 1000 * 1000));
	if (modbus_connect(c) < 0)
		return 1;
	for (int n = 0; scanf("%d %d %d %d", &fc, &addr, &value, &selects) == 4; n++) {
		uint16_t words[100];
		const char *outcome = "confirmed";
		errno = 0;
		if (act(c, fc, addr, value) < 0) {
			if (errno == ETIMEDOUT)
				outcome = "timeout";
			else if (errno > MODBUS_ENOBASE && errno < MODBUS_ENOBASE + MODBUS_EXCEPTION_MAX)
				outcome = "refused";
			else if (errno == EMBBADDATA)
				outcome = "mismatch";
			else
				return 2;
		}
		printf("{\"n\":%d,\"outcome\":\"%s\"}\n", n, outcome);
		if ((n % 3 == 0 || errno == ETIMEDOUT) && modbus_read_registers(c, 0, 100, words) < 0)
			return 3;
	}
	modbus_close(c);
	return 0;
}
