"""Runs a client and a server of lib60870 (c104) against each other, and reports what each of them says.

usage: c104_peer.py SERVER_PORT CLIENT_PORT
"""
import datetime
import json
import sys
import threading
import time

import c104

SERVER, CLIENT = int(sys.argv[1]), int(sys.argv[2])
T = c104.Type
lock = threading.Lock()


def say(where, **members):
    with lock:
        sys.stdout.write(json.dumps({"set": where} | {k: v for k, v in members.items() if v is not None}) + "\n")
        sys.stdout.flush()


def number(v):
    """A value of lib60870 as a number; a bitstring as the number whose bits it shows."""
    if isinstance(v, c104.Byte32):
        return int(str(v), 2)
    if isinstance(v, (float, c104.NormalizedFloat)):
        return float(v)
    return int(v)


def ms(when):
    if when is None:
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=datetime.timezone.utc)
    return (when - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)) // datetime.timedelta(milliseconds=1)


# What an information object holds beside value, quality and time: our word for it, and its attribute.
BESIDE = {"transient": "transient", "sequence": "seq", "elapsed_ms": "ms", "relay_duration_ms": "ms", "relay_operating_ms": "ms", "changed": "changed", "qualifier": "qualifier"}


def content(info):
    out = {"value": number(info.value), "time": ms(info.recorded_at)}
    if info.quality is not None:
        out["quality"] = sorted(n for n, bit in type(info.quality).__members__.items() if int(info.quality) & int(bit))
    for attribute, word in BESIDE.items():
        if hasattr(info, attribute):
            out[word] = int(getattr(info, attribute))
    return out


def apdu(where, sender, data):
    """The header of an APDU as lib60870 explains it."""
    d = c104.explain_bytes_dict(apdu=data)
    out = {"from": sender, "apci": d["format"], "ns": d.get("tx"), "nr": d.get("rx")}
    if d["format"] == "U":
        out |= {"u": d["type"] + " " + d["cot"].lower()}
    if d["format"] == "I":
        out |= {"type": int(d["type"]), "cot": int(d["cot"]), "pn": d["negative"], "test": d["test"], "n": d["numberOfObjects"], "sq": d["sequence"], "ca": d["commonAddress"], "oa": d["originatorAddress"], "ioa": d["firstInformationObjectAddress"]}
    say(where, **out)


def client_receives(connection: c104.Connection, data: bytes) -> None:
    apdu("client.apdu", "server", data)


def client_sends(connection: c104.Connection, data: bytes) -> None:
    apdu("client.apdu", "client", data)


def server_receives(server: c104.Server, data: bytes) -> None:
    apdu("server.apdu", "client", data)


def server_sends(server: c104.Server, data: bytes) -> None:
    apdu("server.apdu", "server", data)


def monitored(point: c104.Point, previous_info: c104.Information, message: c104.IncomingMessage) -> c104.ResponseState:
    say("client.points", type=int(message.type), cot=int(message.cot), ca=message.common_address, ioa=point.io_address, **content(message.info))
    return c104.ResponseState.SUCCESS


def commanded(point: c104.Point, previous_info: c104.Information, message: c104.IncomingMessage) -> c104.ResponseState:
    refuse = point.io_address % 10 == 9
    if refuse and point.command_mode == c104.CommandMode.SELECT_AND_EXECUTE:
        return c104.ResponseState.FAILURE  # not every one comes here: the late end of a refused one can end the next selection
    say("server.commands", type=int(message.type), ca=message.common_address, oa=message.originator_address, ioa=point.io_address, select=message.is_select_command, **content(message.info))
    return c104.ResponseState.FAILURE if refuse else c104.ResponseState.SUCCESS


def clock(server: c104.Server, ip: str, date_time: datetime.datetime) -> c104.ResponseState:
    say("server.clock", time=ms(date_time))
    return c104.ResponseState.SUCCESS


def initialized(client: c104.Client, station: c104.Station, cause: c104.Coi) -> None:
    say("client.initialized", ca=station.common_address, coi=int(cause))


def tag(n):
    """A time of its own for each value, in winter and summer, over years."""
    return datetime.datetime(2024 + n % 5, 1 + n % 12, 1 + n % 28, n % 24, (n * 7) % 60, (n * 11) % 60, (n * 37 % 1000) * 1000, tzinfo=datetime.timezone.utc)


Q, B = c104.Quality, c104.BinaryCounterQuality
QUALITIES = [Q(), Q.Overflow, Q.Blocked | Q.Substituted, Q.NonTopical, Q.Invalid, Q.Blocked | Q.Substituted | Q.NonTopical | Q.Invalid]


def flags(names):
    """Each name of a bit set of lib60870, and all together."""
    members = list(names.__members__.values())
    every = members[0]
    for m in members:
        every = every | m
    return members + [every]


def infos():
    """Per monitored type: what its information objects are set to."""
    q = lambda i: QUALITIES[i % len(QUALITIES)]
    plain = lambda i: Q() if not i else Q.Invalid
    single = lambda at: [c104.SingleInfo(on=i % 2 == 1, quality=plain(i // 2), recorded_at=at(i)) for i in range(4)]
    double = lambda at: [c104.DoubleInfo(state=s, quality=q(2 + i), recorded_at=at(i)) for i, s in enumerate(c104.Double.__members__.values())]
    step = lambda at: [c104.StepInfo(c104.Int7(v), v % 2 == 1, quality=q(i), recorded_at=at(i)) for i, v in enumerate((-64, -1, 0, 5, 63))]
    bits = lambda at: [c104.BinaryInfo(blob=c104.Byte32(bytes.fromhex(h)), quality=q(i), recorded_at=at(i)) for i, h in enumerate(("12345678", "00000001", "80000000", "ffffffff"))]
    norm = lambda at: [c104.NormalizedInfo(actual=c104.NormalizedFloat(v), quality=q(i), recorded_at=at(i)) for i, v in enumerate((-1.0, -0.3, 0.0, 0.5, 0.75))]
    scaled = lambda at: [c104.ScaledInfo(actual=c104.Int16(v), quality=q(i), recorded_at=at(i)) for i, v in enumerate((-32768, -300, 0, 1, 32767))]
    short = lambda at: [c104.ShortInfo(actual=v, quality=q(i), recorded_at=at(i)) for i, v in enumerate((-1.5, 0.0, 49.98, 3.4e38, 1e-38, 230000.25))]
    count = lambda at: [c104.BinaryCounterInfo(counter=v, sequence=c104.UInt5(i * 7 % 32), quality=g, recorded_at=at(i)) for i, (v, g) in enumerate(((0, B()), (-5, B.Carry), (2147483647, B.Adjusted), (-2147483648, B.Invalid), (77, B.Carry | B.Adjusted | B.Invalid)))]
    none = lambda i: None
    yield from ((T.M_SP_NA_1, single(none)), (T.M_SP_TB_1, single(tag)), (T.M_DP_NA_1, double(none)), (T.M_DP_TB_1, double(tag)))
    yield from ((T.M_ST_NA_1, step(none)), (T.M_ST_TB_1, step(tag)), (T.M_BO_NA_1, bits(none)), (T.M_BO_TB_1, bits(tag)))
    yield from ((T.M_ME_NA_1, norm(none)), (T.M_ME_TD_1, norm(tag)), (T.M_ME_ND_1, [c104.NormalizedInfo(actual=c104.NormalizedFloat(v)) for v in (-0.25, 0.99)]))
    yield from ((T.M_ME_NB_1, scaled(none)), (T.M_ME_TE_1, scaled(tag)), (T.M_ME_NC_1, short(none)), (T.M_ME_TF_1, short(tag)))
    yield from ((T.M_IT_NA_1, count(none)), (T.M_IT_TB_1, count(tag)))
    yield T.M_PS_NA_1, [c104.StatusAndChanged(status=c104.PackedSingle.I0 | c104.PackedSingle.I5 | c104.PackedSingle.I15, changed=c104.PackedSingle.I1 | c104.PackedSingle.I8, quality=q(i)) for i in range(3)]
    yield T.M_EP_TD_1, [c104.ProtectionEventInfo(state=s, elapsed_ms=c104.UInt16(i * 21000), quality=Q.ElapsedTimeInvalid if i == 1 else q(1 + i) if i > 1 else Q(), recorded_at=tag(i)) for i, s in enumerate(c104.EventState.__members__.values())]
    yield T.M_EP_TE_1, [c104.ProtectionStartInfo(events=e, relay_duration_ms=c104.UInt16(i * 9000), quality=Q.ElapsedTimeInvalid if i % 2 else Q(), recorded_at=tag(i)) for i, e in enumerate(flags(c104.StartEvents))]
    yield T.M_EP_TF_1, [c104.ProtectionCircuitInfo(e, c104.UInt16(i * 9000), quality=Q.ElapsedTimeInvalid if i % 2 else Q(), recorded_at=tag(i)) for i, e in enumerate(flags(c104.OutputCircuits))]


def commands():
    """Per command type: what it is set to."""
    at = tag(3)
    qoc = list(c104.Qoc.__members__.values())
    single = lambda t: [c104.SingleCmd(on=i % 2 == 0, qualifier=g, recorded_at=t) for i, g in enumerate(qoc)]
    double = lambda t: [c104.DoubleCmd(state=s, qualifier=g, recorded_at=t) for s, g in zip((c104.Double.OFF, c104.Double.ON) * 2, qoc)]
    step = lambda t: [c104.StepCmd(direction=s, qualifier=g, recorded_at=t) for s, g in zip((c104.Step.LOWER, c104.Step.HIGHER) * 2, qoc)]
    norm = lambda t: [c104.NormalizedCmd(target=c104.NormalizedFloat(v), qualifier=c104.UInt7(i * 60), recorded_at=t) for i, v in enumerate((-0.5, 0.25))]
    scaled = lambda t: [c104.ScaledCmd(target=c104.Int16(v), qualifier=c104.UInt7(i * 60), recorded_at=t) for i, v in enumerate((-1234, 31000))]
    short = lambda t: [c104.ShortCmd(target=v, qualifier=c104.UInt7(i * 60), recorded_at=t) for i, v in enumerate((-273.15, 1e6))]
    bits = lambda t: [c104.BinaryCmd(blob=c104.Byte32(bytes.fromhex(h)), recorded_at=t) for h in ("12345678", "00ff00f0")]
    yield from ((T.C_SC_NA_1, single(None)), (T.C_DC_NA_1, double(None)), (T.C_RC_NA_1, step(None)), (T.C_SE_NA_1, norm(None)), (T.C_SE_NB_1, scaled(None)), (T.C_SE_NC_1, short(None)), (T.C_BO_NA_1, bits(None)))
    yield from ((T.C_SC_TA_1, single(at)), (T.C_DC_TA_1, double(at)), (T.C_RC_TA_1, step(at)), (T.C_SE_TA_1, norm(at)), (T.C_SE_TB_1, scaled(at)), (T.C_SE_TC_1, short(at)), (T.C_BO_TA_1, bits(at)))


def main():
    server = c104.Server(ip="127.0.0.1", port=SERVER, tick_rate_ms=50, select_timeout_ms=5000)
    client = c104.Client(tick_rate_ms=50, command_timeout_ms=500)
    client.originator_address = 42
    connection = client.add_connection("127.0.0.1", CLIENT, init=c104.Init.NONE)
    for s, parameters in ((server, server.protocol_parameters), (client, connection.protocol_parameters)):
        parameters.keep_alive_interval = 1
    server.on_receive_raw(server_receives)
    server.on_send_raw(server_sends)
    connection.on_receive_raw(client_receives)
    connection.on_send_raw(client_sends)
    server.on_clock_sync(clock)
    client.on_station_initialized(initialized)
    near, far = server.add_station(1027), connection.add_station(1027)
    connection.add_station(9)  # unknown to the server

    points, batches, ioa = [], [], 1000
    for kind, values in infos():
        row = []
        for info in values:
            ioa += 1
            p = near.add_point(ioa, kind)
            p.info = info
            far.add_point(ioa, kind).on_receive(callable=monitored)
            row.append(p)
        points += row
        batches.append(row)
        ioa += 70000  # addresses of three octets
    orders, ioa = [], 60
    for kind, values in commands():
        for mode in (c104.CommandMode.DIRECT, c104.CommandMode.SELECT_AND_EXECUTE):
            for refused in (False, True):
                ioa += 10
                n = ioa + (9 if refused else 1)
                near.add_point(n, kind, command_mode=mode).on_receive(callable=commanded)
                orders.append((far.add_point(n, kind, command_mode=mode), values))
    answer = near.add_point(5, T.M_SP_NA_1)
    far.add_point(5, T.M_SP_NA_1).on_receive(callable=monitored)
    near.add_point(6, T.C_SC_NA_1, related_io_address=answer.io_address, related_io_autoreturn=True).on_receive(callable=commanded)
    related = far.add_point(6, T.C_SC_NA_1)
    stranger = far.add_point(7, T.C_SC_NA_1)  # the server has no such point

    server.start()
    client.start()
    for _ in range(200):
        if connection.state == c104.ConnectionState.OPEN:
            break
        if connection.state == c104.ConnectionState.OPEN_MUTED:
            connection.unmute()
        time.sleep(0.05)
    else:
        sys.exit(f"no connection: {connection.state}")
    near.signal_initialized(c104.Coi.REMOTE_RESET)
    for p in points:
        p.transmit(c104.Cot.SPONTANEOUS)
    for row in batches:
        server.transmit_batch(c104.Batch(c104.Cot.BACKGROUND_SCAN, row))
    connection.interrogation(1027)
    connection.interrogation(1027, qualifier=c104.Qoi.GROUP_3)
    connection.interrogation(9)
    connection.counter_interrogation(1027)
    connection.counter_interrogation(1027, qualifier=c104.Rqt.GENERAL, freeze=c104.Frz.FREEZE_WITH_RESET)
    connection.clock_sync(1027)
    connection.test(1027, with_time=True)
    connection.test(1027, with_time=False)
    far.get_point(points[0].io_address).read()
    far.get_point(points[-1].io_address).read()
    stranger_point = far.add_point(8, T.M_SP_NA_1)
    stranger_point.read()
    for point, values in orders:
        for info in values:
            point.info = info
            point.transmit(c104.Cot.ACTIVATION)
    for on in (True, False):
        related.info = c104.SingleCmd(on=on)
        related.transmit(c104.Cot.ACTIVATION)
    stranger.transmit(c104.Cot.ACTIVATION)
    connection.mute()
    time.sleep(1.6)  # longer than t3, which cannot be less than a second
    connection.unmute()
    time.sleep(0.3)
    client.stop()
    server.stop()


main()
