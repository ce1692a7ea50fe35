"""Runs pymodbus' client and server against each other, and reports what each of them says of every PDU.

usage: pymodbus_peer.py FRAMER SERVER_PORT CLIENT_PORT
"""
import asyncio
import json
import logging
import sys

from pymodbus import FramerType, ModbusDeviceIdentification
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.datastore import ModbusDeviceContext, ModbusSequentialDataBlock, ModbusServerContext
from pymodbus.exceptions import ModbusIOException
from pymodbus.pdu.file_message import FileRecord
from pymodbus.server import ModbusTcpServer

FRAMER, SERVER, CLIENT = FramerType(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
logging.disable(logging.CRITICAL)

# What a PDU class of pymodbus holds beside its function code: our word for it, and how its value is read.
REQUEST = {
    "ReadCoilsRequest": ("addr", "count"),
    "ReadDiscreteInputsRequest": ("addr", "count"),
    "ReadHoldingRegistersRequest": ("addr", "count"),
    "ReadInputRegistersRequest": ("addr", "count"),
    "WriteSingleCoilRequest": ("addr", "bits"),
    "WriteSingleRegisterRequest": ("addr", "registers"),
    "WriteMultipleCoilsRequest": ("addr", "count", "bits"),
    "WriteMultipleRegistersRequest": ("addr", "count", "registers"),
    "MaskWriteRegisterRequest": ("addr", "masks"),
    "ReadWriteMultipleRegistersRequest": ("readwrite",),
    "ReadFifoQueueRequest": ("addr",),
    "ReadFileRecordRequest": ("files",),
    "WriteFileRecordRequest": ("files",),
    "ReadDeviceInformationRequest": ("mei",),
}
RESPONSE = {
    "ReadCoilsResponse": ("bits",),
    "ReadDiscreteInputsResponse": ("bits",),
    "ReadHoldingRegistersResponse": ("registers",),
    "ReadInputRegistersResponse": ("registers",),
    "WriteSingleCoilResponse": ("addr", "bits"),
    "WriteSingleRegisterResponse": ("addr", "registers"),
    "WriteMultipleCoilsResponse": ("addr", "count"),
    "WriteMultipleRegistersResponse": ("addr", "count"),
    "MaskWriteRegisterResponse": ("addr", "masks"),
    "ReadWriteMultipleRegistersResponse": ("registers",),
    "ReadFifoQueueResponse": ("fifo",),
    "ReadFileRecordResponse": ("filedata",),
    "WriteFileRecordResponse": ("files",),
    "ReadDeviceInformationResponse": ("identity",),
    "ReportDeviceIdResponse": ("server_id",),
    "ReadExceptionStatusResponse": ("exception_status",),
    "GetCommEventCounterResponse": ("event_count",),
}


def words(pdu, which, pending):
    """The members of a record that say what pdu holds."""
    out = {}
    for w in which:
        if w == "addr":
            out["addr"] = pdu.address
        elif w == "count":
            out["count"] = pdu.count
        elif w in ("bits", "registers"):
            values = [int(v) for v in getattr(pdu, w)]
            first, n = pending if pending else (pdu.address, len(values))
            out["values"] = [[first + i, v] for i, v in enumerate(values[:n])]
        elif w == "masks":
            out["masks"] = [pdu.and_mask, pdu.or_mask]
        elif w == "readwrite":
            out["addr"], out["count"] = pdu.read_address, pdu.read_count
            out["values"] = [[pdu.write_address + i, v] for i, v in enumerate(pdu.write_registers)]
        elif w == "fifo":
            out["fifo"] = list(pdu.values)
        elif w == "files":
            out["files"] = [[r.file_number, r.record_number, r.record_length] for r in pdu.records]
            if any(r.record_data for r in pdu.records):
                out["filedata"] = [r.record_data.hex() for r in pdu.records]
        elif w == "filedata":
            out["filedata"] = [r.record_data.hex() for r in pdu.records]
        elif w == "mei":
            out["mei"] = [pdu.sub_function_code, int(pdu.read_code), pdu.object_id]
        elif w == "identity":
            out["mei"] = [pdu.sub_function_code, int(pdu.read_code)]
            out["more"] = int(pdu.more_follows) != 0
            out["identity"] = {str(k): (v.decode() if isinstance(v, bytes) else v) for k, v in sorted(pdu.information.items())}
        elif w == "server_id":
            out["server_id"], out["running"] = pdu.identifier.decode(), bool(pdu.status)
        elif w == "exception_status":
            out["exception_status"] = pdu.status
        elif w == "event_count":
            out["event_count"] = pdu.count
    return out


class Reporter:
    """Reports the PDUs that one end sends and receives."""

    def __init__(self, side):
        self.side, self.pending = side, {}

    def trace(self, sending, pdu):
        name = type(pdu).__name__
        request = sending == (self.side == "client")
        out = {"set": self.side, "from": "client" if request else "server", "unit": pdu.dev_id, "fc": pdu.function_code & 0x7F}
        if FRAMER == FramerType.SOCKET:
            out["tid"] = pdu.transaction_id
        if pdu.function_code == 8:
            out["sub"] = pdu.sub_function_code
            if pdu.sub_function_code != 2 and isinstance(pdu.message, int):  # its server has the register of 2 as bits
                out["word"] = pdu.message
        if pdu.exception_code:
            out["exception"] = pdu.exception_code
        elif request:
            out |= words(pdu, REQUEST.get(name, ()), None)
            self.pending = {"first": (pdu.address, pdu.count)}
            if name == "ReadWriteMultipleRegistersRequest":
                self.pending = {"first": (pdu.read_address, pdu.read_count)}
        else:
            asked = self.pending.get("first") if name.startswith("Read") and hasattr(pdu, "bits") else None
            out |= words(pdu, RESPONSE.get(name, ()), asked)
        print(json.dumps(out), flush=True)
        return pdu


def store():
    return ModbusDeviceContext(
        di=ModbusSequentialDataBlock(1, [i % 3 == 0 for i in range(400)]),
        co=ModbusSequentialDataBlock(1, [i % 2 == 0 for i in range(400)]),
        hr=ModbusSequentialDataBlock(1, [(i * 257) & 0xFFFF for i in range(300)]),
        ir=ModbusSequentialDataBlock(1, [0xFFFF - i for i in range(300)]),
    )


async def calls(c):
    """Every function that pymodbus' client offers, and the exceptions that its server knows."""
    yield c.read_coils(0, count=1)
    yield c.read_coils(3, count=19, device_id=2)
    yield c.read_discrete_inputs(7, count=33)
    yield c.read_holding_registers(0, count=125)
    yield c.read_holding_registers(17, count=1)
    yield c.read_input_registers(5, count=4, device_id=2)
    yield c.write_coil(9, True)
    yield c.write_coil(9, False)
    yield c.write_register(12, 0xBEEF)
    yield c.write_coils(20, [True, False, True, True, False, False, True, False, True])
    yield c.write_registers(40, [1, 2, 65535, 0x8000])
    yield c.mask_write_register(address=4, and_mask=0xF2, or_mask=0x25)
    yield c.readwrite_registers(read_address=40, read_count=4, address=41, values=[77, 88])
    yield c.read_fifo_queue(address=0x04DE)
    yield c.read_file_record([FileRecord(file_number=4, record_number=1, record_length=20)])
    yield c.write_file_record([FileRecord(file_number=4, record_number=7, record_data=b"\x06\xaf\x04\xbe\x10\x0d")])
    yield c.read_device_information(read_code=1)
    yield c.read_device_information(read_code=2)
    yield c.read_device_information(read_code=3)
    yield c.read_device_information(read_code=4, object_id=1)
    yield c.report_device_id()
    yield c.read_exception_status()
    yield c.diag_get_comm_event_counter()
    yield c.diag_get_comm_event_log()
    yield c.diag_query_data(b"\xa5\x37")
    yield c.diag_read_diagnostic_register()
    yield c.diag_change_ascii_input_delimeter()
    yield c.diag_clear_counters()
    yield c.diag_read_bus_message_count()
    yield c.diag_read_bus_comm_error_count()
    yield c.diag_read_bus_exception_error_count()
    yield c.diag_read_device_message_count()
    yield c.diag_read_device_no_response_count()
    yield c.diag_read_device_nak_count()
    yield c.diag_read_device_busy_count()
    yield c.diag_read_bus_char_overrun_count()
    yield c.diag_read_iop_overrun_count()
    yield c.diag_clear_overrun_counter()
    yield c.diag_restart_communication(False)
    yield c.read_coils(9000, count=2)  # exception 2
    yield c.read_holding_registers(290, count=20)  # exception 2
    yield c.write_register(9000, 1)  # exception 2
    yield c.write_registers(9000, [1, 2])  # exception 2
    yield c.read_coils(0, count=1, device_id=99)  # no such device


async def main():
    identity = ModbusDeviceIdentification(
        info_name={"VendorName": "Roje", "ProductCode": "IT", "MajorMinorRevision": "1.2", "VendorUrl": "https://example.org", "ProductName": "peer", "ModelName": "one", "UserApplicationName": "interop"}
    )
    context = ModbusServerContext(devices={1: store(), 2: store()}, single=False)
    server = ModbusTcpServer(context, framer=FRAMER, identity=identity, address=("127.0.0.1", SERVER), trace_pdu=Reporter("server").trace)
    await server.listen()
    client = AsyncModbusTcpClient("127.0.0.1", port=CLIENT, framer=FRAMER, timeout=1, retries=0, trace_pdu=Reporter("client").trace)
    await client.connect()
    async for call in calls(client):
        try:
            await call
        except (ModbusIOException, ValueError) as e:
            print("no answer:", e, file=sys.stderr)
            await client.connect()
    client.close()
    await server.shutdown()


asyncio.run(main())
