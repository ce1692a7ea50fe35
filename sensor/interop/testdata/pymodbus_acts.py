"""Carries out writes between pymodbus' client and server, and reports what the client says of each.

usage: pymodbus_acts.py SERVER_PORT CLIENT_PORT PATIENCE

Reads lines "function address value select"; PATIENCE is how long the client waits for an answer, in milliseconds. The
client takes an answer about another register for a success, so that its own trace of the PDUs decides.
"""
import asyncio
import json
import logging
import sys

from pymodbus import FramerType
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.datastore import ModbusDeviceContext, ModbusSequentialDataBlock, ModbusServerContext
from pymodbus.exceptions import ModbusIOException
from pymodbus.server import ModbusTcpServer

SERVER, CLIENT, PATIENCE = (int(a) for a in sys.argv[1:4])
logging.disable(logging.CRITICAL)
trace = []


def tracing(sending, pdu):
    trace.append((sending, pdu))
    return pdu


def call(c, fc, addr, value):
    match fc:
        case 5:
            return c.write_coil(addr, bool(value))
        case 6:
            return c.write_register(addr, value)
        case 15:
            return c.write_coils(addr, [bool(value >> i & 1) for i in range(5)])
        case 16:
            return c.write_registers(addr, [value, 9])
        case 22:
            return c.mask_write_register(address=addr, and_mask=0xFF00, or_mask=value)
        case 23:
            return c.readwrite_registers(read_address=10, read_count=3, address=addr, values=[value, 9])


def outcome(fc):
    """What the trace says of the last call."""
    sent = next(p for sending, p in trace if sending)
    received = [p for sending, p in trace if not sending]
    if not received:
        return "timeout"
    if received[0].exception_code:
        return "refused"
    return "mismatch" if fc != 23 and received[0].address != sent.address else "confirmed"


async def main():
    block = lambda: ModbusSequentialDataBlock(1, [0] * 300)
    context = ModbusServerContext(devices={1: ModbusDeviceContext(di=block(), co=block(), hr=block(), ir=block())}, single=False)
    server = ModbusTcpServer(context, framer=FramerType.SOCKET, address=("127.0.0.1", SERVER))
    await server.listen()
    client = AsyncModbusTcpClient("127.0.0.1", port=CLIENT, timeout=PATIENCE / 1000, retries=0, trace_pdu=tracing)
    await client.connect()
    for n, line in enumerate(sys.stdin):
        fc, addr, value, _ = (int(float(x)) for x in line.split())
        trace.clear()
        try:
            await call(client, fc, addr, value)
        except ModbusIOException:
            client.close()
            await client.connect()
        said = outcome(fc)
        print(json.dumps({"n": n, "outcome": said}), flush=True)
        if n % 3 == 0 or said == "timeout":
            await client.read_holding_registers(0, count=100)
    client.close()
    await server.shutdown()


asyncio.run(main())
