"""Runs a master and an outstation of opendnp3 (yadnp3) against each other, and reports what each of them says.

usage: opendnp3_peer.py SERVER_PORT CLIENT_PORT
"""
import json
import os
import re
import sys
import threading
import time

import opendnp3 as o

SERVER, CLIENT = int(sys.argv[1]), int(sys.argv[2])
lock = threading.Lock()
FILE = bytes(range(256)) * 11  # more than one block


def say(where, **members):
    with lock:
        sys.stdout.write(json.dumps({"set": where} | {k: v for k, v in members.items() if v is not None}) + "\n")
        sys.stdout.flush()


HEADER = re.compile(r"FIR: (\d) FIN: (\d) CON: (\d) UNS: (\d) SEQ: (\d+) FUNC: (\w+)(?: IIN: \[0x(\w\w), 0x(\w\w)\])?")
OBJECT = re.compile(r"(\d+),(\d+) .*?[-,] (all objects|\S+ start stop|\S+ count and prefix|\S+ count|\S+ free format)(?: \[(\d+)(?:, (\d+))?\])?")
FILES = re.compile(r'(\w+): ("[^"]*"|\w+)')
UNSAID = ("auth_key", "user_name_len", "password_len", "data_len")  # keys and data are not kept by a sensor
LINK = re.compile(r"Function: (\w+) Dest: (\d+) Source: (\d+) Length: (\d+)")
APP = {2048: "rx", 4096: "tx"}
OBJ = {8192: "rx", 16384: "tx"}


class Log(o.ILogHandler):
    """Takes the fragments out of what the stack logs of its own headers and objects."""

    def __init__(self):
        super().__init__()
        self.open = {}
        self.deferred = {}  # by the same key: a request that waits until an unsolicited response is confirmed

    def close(self, key):
        r = self.open.pop(key, None)
        if r is not None:
            say(r.pop("set"), **r)

    def log(self, module, id, level, location, message):
        level = level.value
        if level in APP and id in ("master", "outstation"):
            key, m = (id, APP[level]), HEADER.match(message)
            if m[6] == "CONFIRM" and self.open.get(key, {}).get("func") == "READ" and not self.open[key]["objects"]:
                self.deferred[key] = self.open.pop(key)
            self.close(key)
            if m[6] == "RECORD_CURRENT_TIME":
                Device.recorded = True
            mine = (id == "master") == (APP[level] == "tx")
            self.open[key] = {"set": id + ".fragments", "from": "client" if mine else "server", "fir": m[1] == "1", "fin": m[2] == "1", "con": m[3] == "1", "uns": m[4] == "1", "seq": int(m[5]), "func": m[6], "objects": []}
            if m[7]:
                self.open[key]["iin"] = [int(m[7], 16), int(m[8], 16)]
        elif level in OBJ and (id, OBJ[level]) in self.open:
            m = OBJECT.match(message)
            if message.startswith("Group70Var"):
                known = {k: v.strip('"') for k, v in FILES.findall(message) if v != '""' and k not in UNSAID}
                say("logged.files", **known, var=int(message[10]))
                return
            if m is None:
                print("not understood:", message, file=sys.stderr)
                return
            if int(m[1]) == 70:
                return  # file objects are said by themselves, with a qualifier that is not the one on the wire
            key = (id, OBJ[level])
            if key in self.deferred:  # a CONFIRM has no objects: these are the deferred request's
                self.close(key)
                self.open[key] = self.deferred.pop(key)
            self.open[key]["objects"].append([int(m[1]), int(m[2]), m[3]] + [int(x) for x in m.groups()[3:] if x is not None])
        elif level == 128:
            m = LINK.match(message)
            if m and "USER_DATA" not in m[1]:
                say(id + ".link", src=int(m[3]), dst=int(m[2]), func=m[1])


QUALITY = {1: o.BinaryQuality, 2: o.BinaryQuality, 3: o.DoubleBitBinaryQuality, 4: o.DoubleBitBinaryQuality, 10: o.BinaryOutputStatusQuality, 11: o.BinaryOutputStatusQuality, 20: o.CounterQuality, 21: o.FrozenCounterQuality, 22: o.CounterQuality, 23: o.FrozenCounterQuality, 30: o.AnalogQuality, 32: o.AnalogQuality, 40: o.AnalogOutputStatusQuality, 42: o.AnalogOutputStatusQuality}
NOT_QUALITY = ("STATE", "STATE1", "STATE2", "RESERVED", "RESERVED1", "RESERVED2")


class SOE(o.ISOEHandler):
    """Reports each value. alone is set before one TimeAndInterval is read and nothing else, and cleared when it is here."""

    alone = False

    def BeginFragment(self, info):
        pass

    def EndFragment(self, info):
        pass

    def Process(self, info, values):
        group, variation = divmod(info.gv.value, 256)
        values = list(values)
        for each in values:
            v, out = each.value, {}
            if isinstance(v, o.OctetString):
                out["text"] = v.ToBytes().hex()
            elif isinstance(v, o.TimeAndInterval):
                out["time"] = v.time.value
                if self.alone:
                    out["interval"], out["units"] = v.interval, v.units & 0x7F
                    self.alone = False
            elif isinstance(v, (o.BinaryCommandEvent, o.AnalogCommandEvent)):
                out["value"], out["status"] = float(v.value), v.status.value
            elif isinstance(v, o.AnalogInputDeadband):
                out["value"] = float(v.value)
            else:
                out["value"] = float(v.value.value if isinstance(v, o.DoubleBitBinary) else v.value)
            if info.flagsValid and group in QUALITY:
                out["quality"] = sorted(n for n, q in QUALITY[group].__members__.items() if v.flags.value & q.value and n not in NOT_QUALITY)
            if "time" not in out and info.tsquality != o.TimestampQuality.INVALID and hasattr(v, "time"):
                out["time"], out["synchronised"] = v.time.value, info.tsquality == o.TimestampQuality.SYNCHRONIZED
            say("master.points", group=group, var=variation, index=each.index, **out)

    def OnDeviceAttribute(self, info, set, variation, value):
        say("master.attributes", index=set, var=variation, type=value.type.value, text=value.stringValue or None)


class Application(o.IMasterApplication):
    def OnReceiveIIN(self, iin):
        pass

    def OnTaskStart(self, type, id):
        pass

    def OnTaskComplete(self, info):
        done.release()

    def OnOpen(self):
        pass

    def OnClose(self):
        pass

    def AssignClassDuringStartup(self):
        return False


done = threading.Semaphore(0)


def control(command):
    if isinstance(command, o.ControlRelayOutputBlock):
        return {"group": 12, "var": 1, "op": command.opType.value, "tcc": command.tcc.value, "clear": command.clear, "count": command.count, "on": command.onTimeMS, "off": command.offTimeMS}
    var = {o.AnalogOutputInt32: 1, o.AnalogOutputInt16: 2, o.AnalogOutputFloat32: 3, o.AnalogOutputDouble64: 4}[type(command)]
    return {"group": 41, "var": var, "value": float(command.value)}


STATUSES = list(o.CommandStatus.__members__.values())


class Commands(o.ICommandHandler):
    """Refuses a point by its index: the index is the status."""

    def Begin(self):
        pass

    def End(self):
        pass

    def Select(self, command, index):
        say("outstation.commands", func="SELECT", index=index, **control(command))
        return STATUSES[index] if index < 100 else o.CommandStatus.SUCCESS

    def Operate(self, command, index, handler, kind):
        func = {o.OperateType.SelectBeforeOperate: "OPERATE", o.OperateType.DirectOperate: "DIRECT_OPERATE", o.OperateType.DirectOperateNoAck: "DIRECT_OPERATE_NR"}[kind]
        say("outstation.commands", func=func, index=index, **control(command))
        return STATUSES[index % 100]


class Device(o.IOutstationApplication):
    needs_time = False
    recorded = False  # the stack adds what has passed since it recorded the time, to the millisecond: say the minute

    def SupportsWriteAbsoluteTime(self):
        return True

    def WriteAbsoluteTime(self, timestamp):
        at = timestamp.msSinceEpoch
        say("outstation.clock", time=at - at % 60000 if Device.recorded else at)
        Device.recorded = False
        self.needs_time = False
        return True

    def SupportsWriteTimeAndInterval(self):
        return True

    def SupportsAssignClass(self):
        return True

    def GetApplicationIIN(self):
        iin = o.ApplicationIIN()
        iin.needTime = self.needs_time
        iin.localControl = True
        return iin

    def ColdRestartSupport(self):
        return o.RestartMode.SUPPORTED_DELAY_COARSE

    def WarmRestartSupport(self):
        return o.RestartMode.SUPPORTED_DELAY_FINE

    def ColdRestart(self):
        say("outstation.restarts", var=1, value=75)
        return 75

    def WarmRestart(self):
        say("outstation.restarts", var=2, value=1234)
        return 1234


class Files(o.IFileHandler):
    def GetFileInfo(self, filename):
        r = o.FileCommandResult()
        r.status = o.FileStatus.SUCCESS if filename == "log.bin" else o.FileStatus.FILE_NOT_FOUND
        r.info.fileName, r.info.size, r.info.type = filename, len(FILE), o.FileType.SIMPLE_FILE
        return r

    def OpenFile(self, filename, authKey, permissions, mode, maxBlockSize, requestId):
        r = o.FileOpenResult()
        r.status = o.FileStatus.SUCCESS if filename == "log.bin" else o.FileStatus.PERMISSION_DENIED
        r.fileHandle, r.fileSize, r.maxBlockSize = 7, len(FILE), 1024
        return r

    def ReadBlock(self, fileHandle, blockNum):
        r = o.FileBlockResult()
        r.status, r.data, r.lastBlock = o.FileStatus.SUCCESS, list(FILE[blockNum * 1024:(blockNum + 1) * 1024]), (blockNum + 1) * 1024 >= len(FILE)
        return r

    def CloseFile(self, fileHandle, requestId):
        return o.FileStatus.SUCCESS

    def DeleteFile(self, filename):
        return o.FileStatus.PERMISSION_DENIED

    def AbortFile(self, fileHandle):
        pass

    def AuthenticateFile(self, username, password):
        r = o.OutstationFileAuthResult()
        r.status, r.authKey = o.FileStatus.SUCCESS, 99
        return r


class Listener(o.IChannelListener):
    def OnStateChange(self, state):
        pass


def reached(n=1, seconds=10):
    """Waits until n tasks of the master have ended."""
    for _ in range(n):
        if not done.acquire(timeout=seconds):
            sys.exit("a task of the master did not end")


def values(i):
    """A round of values, one of each kind, with flags and times of their own."""
    def with_(v, flags):
        v.flags, v.time = o.Flags(flags), o.DNPTime(1700000000000 + 86400123 * i, o.TimestampQuality.SYNCHRONIZED if i % 3 else o.TimestampQuality.UNSYNCHRONIZED)
        return v

    odd = [0x01, 0x21, 0x03, 0x04, 0x08, 0x11, 0x41][i % 7]
    yield with_(o.Binary(i % 2 == 0), odd & 0x3F)
    yield with_(o.DoubleBitBinary(list(o.DoubleBit.__members__.values())[i % 4]), odd & 0x3F)
    yield with_(o.Analog([0.0, -1.5, 40000.25, -70000.0, 1e12, 3.25][i % 6]), odd)
    yield with_(o.Counter([0, 65535, 4294967295, 77][i % 4]), odd)
    yield with_(o.BinaryOutputStatus(i % 2 == 1), odd & 0x1F)
    yield with_(o.AnalogOutputStatus([0.0, -2.5, 31000.0, -1e9][i % 4]), odd)


def main():
    log = Log()
    manager = o.DNP3Manager(1, log)
    levels, listener = o.levels.ALL_COMMS, Listener()
    config = o.OutstationStackConfig(o.DatabaseConfig(12))
    config.outstation.eventBufferConfig = o.EventBufferConfig.AllTypes(40)
    config.outstation.params.allowUnsolicited = True
    config.link.LocalAddr, config.link.RemoteAddr = 1024, 3
    commands, device, files, soe, application = Commands(), Device(), Files(), SOE(), Application()
    server = manager.AddTCPServer("server", levels, o.ServerAcceptMode.CloseExisting, o.IPEndpoint("127.0.0.1", SERVER), listener)
    outstation = server.AddOutstation("outstation", commands, device, config, files)
    outstation.Enable()
    time.sleep(0.3)  # the server listens before the client calls
    client = manager.AddTCPClient("client", levels, o.ChannelRetry.Default(), [o.IPEndpoint("127.0.0.1", CLIENT)], "0.0.0.0", listener)
    stack = o.MasterStackConfig()
    stack.link.LocalAddr, stack.link.RemoteAddr = 3, 1024
    stack.master.disableUnsolOnStartup = True
    stack.master.timeSyncMode = o.TimeSyncMode.LAN
    master = client.AddMaster("master", soe, application, stack)
    master.Enable()
    reached(4)  # disable unsolicited, clear restart, integrity, enable unsolicited

    def apply(i, mode=o.EventMode.Force):
        b = o.UpdateBuilder()
        for v in values(i):
            b.Update(v, i % 12, mode)
        outstation.Apply(b.Build())

    def all_of(group, variation):
        master.ScanAllObjects(o.GroupVariationID(group, variation), soe)
        reached()

    for i in range(6):  # unsolicited events
        apply(i)
        time.sleep(0.1)
    b = o.UpdateBuilder()
    b.Update(o.TimeAndInterval(o.DNPTime(1700000000123), 5, o.IntervalUnits.Hours), 2)
    outstation.Apply(b.Build())
    classes = [o.Header.From(c) for c in (o.PointClass.Class1, o.PointClass.Class2, o.PointClass.Class3)]
    master.PerformFunction("quiet", o.FunctionCode.DISABLE_UNSOLICITED, classes)
    reached()
    for group, variations in ((2, 3), (4, 3), (11, 2), (22, (1, 2, 5, 6)), (32, 8), (42, 8)):  # events, as each variation
        for variation in range(1, variations + 1) if isinstance(variations, int) else variations:
            for i in range(variation, variation + 3):
                apply(i)
            all_of(group, variation)
    for kind in (o.FreezeType.ImmediateFreeze, o.FreezeType.FreezeAndClear):
        master.Freeze(kind, [o.Header.AllObjects(20, 0)])
        reached()
        for variation in (1, 2, 5, 6):
            all_of(23, variation)
    for group, variations in ((1, (1, 2)), (3, (1, 2)), (10, (1, 2)), (20, (1, 2, 5, 6)), (21, (1, 2, 5, 6, 9, 10)), (30, (1, 2, 3, 4, 5, 6)), (40, (1, 2, 3, 4)), (50, (4,)), (110, (0,)), (0, (254, 255, 240))):
        for variation in variations:
            all_of(group, variation)
    master.ScanRange(o.GroupVariationID(30, 5), 3, 7, soe)
    reached()
    soe.alone = True
    master.ScanRange(o.GroupVariationID(50, 4), 2, 2, soe)
    reached()
    while soe.alone:
        time.sleep(0.01)
    master.Scan([o.Header.Range8(1, 2, 1, 4), o.Header.Range16(20, 5, 2, 3), o.Header.Count8(60, 2, 3), o.Header.Count16(32, 7, 2)], soe)
    reached()
    for field in (o.ClassField(False, True, False, False), o.ClassField.AllEventClasses(), o.ClassField.AllClasses()):
        master.ScanClasses(field, soe)
        reached()

    nothing = lambda *r: None

    def result(r):
        for p in r.to_list():
            say("master.results", index=p.index, status=p.status.value)

    ops, codes = list(o.OperationType.__members__.values())[:5], list(o.TripCloseCode.__members__.values())
    for n, (op, code) in enumerate((op, code) for op in ops for code in codes):
        crob = o.ControlRelayOutputBlock(op, code, n % 3 == 2, n % 4, 100 * n, 4000000000 if n == 7 else n)
        for send in (master.DirectOperate, master.SelectAndOperate):
            send(crob, 100, result)
            reached()
    for index in range(1, len(STATUSES)):
        for send in (master.DirectOperate, master.SelectAndOperate):  # refused at once, or at the selection
            send(o.ControlRelayOutputBlock(), index, result)
            reached()
        master.SelectAndOperate(o.AnalogOutputInt16(index), 100 + index, result)  # refused after the selection
        reached()
    for command in (o.AnalogOutputInt16(-32768), o.AnalogOutputInt32(2147483647), o.AnalogOutputFloat32(-1.25), o.AnalogOutputDouble64(1e300)):
        for send in (master.DirectOperate, master.SelectAndOperate):
            send(command, 100, result)
            reached()
    device.needs_time = True  # the master sees it in the next response
    all_of(1, 2)
    reached()
    master.Restart(o.RestartType.COLD, nothing)
    reached()
    master.Restart(o.RestartType.WARM, nothing)
    reached()
    master.WriteDeadBands([o.IndexedAnalogInputDeadband(o.AnalogInputDeadband(v), n) for n, v in enumerate((1, 2.5, 70000))], nothing)
    reached()
    master.Write(o.TimeAndInterval(o.DNPTime(1700000000999), 3, o.IntervalUnits.Days), 1)
    reached()
    master.PerformFunction("classes", o.FunctionCode.ASSIGN_CLASS, [o.Header.From(o.PointClass.Class2), o.Header.AllObjects(1, 0), o.Header.From(o.PointClass.Class3), o.Header.Range8(30, 0, 1, 3)])
    reached()
    for func in (o.FunctionCode.START_APPLICATION, o.FunctionCode.INITIALIZE_DATA):  # not supported: IIN2.0
        master.PerformFunction("refused", func, [])
        reached()
    all_of(102, 1)  # not there: IIN2.1
    for order in ((master.ReadFile, "log.bin"), (master.GetFileInfo, "log.bin"), (master.GetFileInfo, "none"), (master.ReadFile, "secret"), (master.DeleteFile, "log.bin"), (master.ReadDirectory, "/")):
        order[0](order[1], nothing)
        reached()
    master.WriteFile("log.bin", b"settings", o.FilePermissions.FromRaw(0o644), nothing)
    reached()
    master.AuthenticateFile("user", "secret", nothing)
    reached()
    master.AbortFile(7, nothing)
    reached()
    master.CheckLinkStatus(nothing)
    time.sleep(0.5)
    master.PerformFunction("loud", o.FunctionCode.ENABLE_UNSOLICITED, classes)
    reached()
    for i in range(20, 26):
        apply(i)
        time.sleep(0.05)
    time.sleep(0.5)
    for kind in (o.FreezeType.ImmediateFreezeNR, o.FreezeType.FreezeAndClearNR):  # nobody answers
        master.Freeze(kind, [o.Header.AllObjects(20, 0)])
        time.sleep(0.2)
    master.Shutdown()
    for name in list(log.open):
        log.close(name)
    while done.acquire(blocking=False):
        pass
    stack.master.timeSyncMode = o.TimeSyncMode.NonLAN
    device.needs_time = True
    other = client.AddMaster("master", soe, application, stack)
    other.Enable()
    reached(4)  # disable unsolicited, integrity, time, enable unsolicited
    manager.Shutdown()
    for key in list(log.open):
        log.close(key)


try:
    main()
except BaseException as e:
    print(repr(e), "at line", e.__traceback__.tb_next.tb_lineno if e.__traceback__.tb_next else "", file=sys.stderr)
    os._exit(1)  # the stack's threads would not end
