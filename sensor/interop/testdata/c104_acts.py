"""Carries out commands between a client and a server of lib60870 (c104), and reports what became of each.

usage: c104_acts.py SERVER_PORT CLIENT_PORT PATIENCE

With CLIENT_PORT 0 the server runs alone until its input ends. Otherwise lines "type address value select" are read;
PATIENCE is how long the client waits for a confirmation, in milliseconds. What became of a command is read from the
APDUs that the client says it sent and received, as lib60870 explains them.
"""
import json
import sys
import threading
import time

import c104

SERVER, CLIENT, PATIENCE = (int(a) for a in sys.argv[1:4])
T = c104.Type
LANES, MUTE, DENY, BARE = 20, 7, 9, 6
FIRST, PER_TYPE = 1000, 80  # points of a type: those in the second half must be selected, the last of each 20 is not there
TYPES = [T.C_SC_NA_1, T.C_DC_NA_1, T.C_RC_NA_1, T.C_SE_NA_1, T.C_SE_NB_1, T.C_SE_NC_1, T.C_BO_NA_1]
SELECT_LASTS = 400  # milliseconds for which the server holds a selection, with another master
OFF = {45: 0, 46: 0, 47: 0, 48: 2, 49: 2, 50: 4, 51: None}  # octet of the information element that selects

heard, waiting = [], threading.Condition()


def commanded(point: c104.Point, previous_info: c104.Information, message: c104.IncomingMessage) -> c104.ResponseState:
    lane = point.io_address % LANES
    if lane == DENY:
        return c104.ResponseState.FAILURE
    return c104.ResponseState.NONE if lane == MUTE else c104.ResponseState.SUCCESS


def element(data):
    """The information element of the first object, without the bit that selects, and whether that is set."""
    b = bytearray(data[15:])
    off = OFF[data[6] - (13 if data[6] >= 58 else 0)]
    selects = off is not None and b[off] & 0x80 != 0
    if selects:
        b[off] &= 0x7F
    return bytes(b[: {45: 1, 46: 1, 47: 1, 48: 3, 49: 3, 50: 5, 51: 4}[data[6]]]), selects


def note(sent, data):
    if data[2] & 1 or not 45 <= data[6] <= 51:
        return
    d = c104.explain_bytes_dict(apdu=data)
    value, selects = element(data)
    with waiting:
        heard.append((sent, int(d["cot"]), d["negative"], d["firstInformationObjectAddress"], selects, value))
        waiting.notify_all()


def received(connection: c104.Connection, data: bytes) -> None:
    note(False, data)


def sent(connection: c104.Connection, data: bytes) -> None:
    note(True, data)


def info(kind, value):
    match kind:
        case 45:
            return c104.SingleCmd(on=bool(value))
        case 46:
            return c104.DoubleCmd(state=c104.Double.ON if value == 2 else c104.Double.OFF)
        case 47:
            return c104.StepCmd(direction=c104.Step.HIGHER if value == 2 else c104.Step.LOWER)
        case 48:
            return c104.NormalizedCmd(target=c104.NormalizedFloat(value))
        case 49:
            return c104.ScaledCmd(target=c104.Int16(int(value)))
        case 50:
            return c104.ShortCmd(target=value)
        case 51:
            return c104.BinaryCmd(blob=c104.Byte32(int(value).to_bytes(4, "little")))


def answered(ioa, selects):
    """The first confirmation of the command that was sent last with this bit, or None."""
    mine = [i for i, h in enumerate(heard) if h[0] and h[3] == ioa and h[4] == selects]
    if not mine:
        return None
    for h in heard[mine[-1]:]:
        if not h[0] and h[3] == ioa and h[4] == selects and h[1] != 10:
            return h, heard[mine[-1]]
    return None


def outcome(ioa, selects, bare, until):
    """What became of a command: its confirmation, waited for as long as a client does."""
    with waiting:
        for phase in (True, False) if selects else (False,):
            while (pair := answered(ioa, phase)) is None:
                if (left := until - time.monotonic()) <= 0:
                    return "timeout"
                waiting.wait(left)
            got, asked = pair
            if got[2] or got[1] > 43:
                return "no_select" if bare else "refused"  # the server says on its own output that the selection is missing
            if got[5] != asked[5]:
                return "mismatch"
    return "confirmed"


def main():
    server = c104.Server(ip="127.0.0.1", port=SERVER, tick_rate_ms=50, select_timeout_ms=SELECT_LASTS if CLIENT == 0 else 10000)
    client = c104.Client(tick_rate_ms=50, command_timeout_ms=max(PATIENCE, 100))
    near = server.add_station(4)
    connection = far = None
    if CLIENT:
        connection = client.add_connection("127.0.0.1", CLIENT, init=c104.Init.NONE)
        connection.on_receive_raw(received)
        connection.on_send_raw(sent)
        far = connection.add_station(4)
    points = {}
    for i, kind in enumerate(TYPES):
        for slot in range(PER_TYPE):
            ioa = FIRST + i * PER_TYPE + slot
            mode = c104.CommandMode.SELECT_AND_EXECUTE if slot >= PER_TYPE // 2 and kind != T.C_BO_NA_1 else c104.CommandMode.DIRECT
            if slot % LANES != LANES - 1:
                near.add_point(ioa, kind, command_mode=mode).on_receive(callable=commanded)
            if far:
                points[ioa] = far.add_point(ioa, kind, command_mode=mode)
    server.start()
    if not CLIENT:
        print("ready", flush=True)
        sys.stdin.read()
        server.stop()
        return
    client.start()
    for _ in range(1200):
        if connection.state == c104.ConnectionState.OPEN:
            break
        if connection.state == c104.ConnectionState.OPEN_MUTED:
            connection.unmute()
        time.sleep(0.05)
    else:
        sys.exit(f"no connection: {connection.state}")
    for n, line in enumerate(sys.stdin):
        kind, ioa, value, selects = line.split()
        ioa, selects = int(ioa), selects == "1"
        point = points[ioa]
        bare = not selects and point.command_mode == c104.CommandMode.SELECT_AND_EXECUTE
        point.command_mode = c104.CommandMode.SELECT_AND_EXECUTE if selects else c104.CommandMode.DIRECT
        point.info = info(int(kind), float(value))
        with waiting:
            heard.clear()
        until = time.monotonic() + PATIENCE / 1000
        point.transmit(c104.Cot.ACTIVATION)
        said = outcome(ioa, selects, bare, until)
        if bare:
            point.command_mode = c104.CommandMode.SELECT_AND_EXECUTE
        print(json.dumps({"n": n, "outcome": said}), flush=True)
        if selects:
            time.sleep(0.06)  # the server ends the selection with its next tick, by a termination of its own
        if said == "timeout" or n % 10 == 0:
            connection.interrogation(4)
    client.stop()
    server.stop()


main()
