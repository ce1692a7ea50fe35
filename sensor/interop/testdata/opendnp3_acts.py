"""Carries out controls between a master and an outstation of opendnp3 (yadnp3), and reports what the master says of each.

usage: opendnp3_acts.py SERVER_PORT CLIENT_PORT PATIENCE

With CLIENT_PORT 0 the outstation runs alone until its input ends. Otherwise lines "group index value select" are read;
PATIENCE is how long the master waits for a response, in milliseconds.
"""
import json
import os
import sys
import threading
import time

import opendnp3 as o

SERVER, CLIENT, PATIENCE = (int(a) for a in sys.argv[1:4])
LANES, DENY = 20, 9
SELECT_LASTS = 400  # milliseconds for which the outstation holds a selection
REFUSALS = [s for s in o.CommandStatus.__members__.values() if s.value not in (0, 1, 2)]


class Commands(o.ICommandHandler):
    """Refuses the points of one lane, some at their selection and some when operated; those from 200 on do not exist."""

    def Begin(self):
        pass

    def End(self):
        pass

    def Select(self, command, index):
        if index >= 200:
            return o.CommandStatus.NOT_SUPPORTED
        if index % (2 * LANES) == DENY:
            return REFUSALS[index // LANES % len(REFUSALS)]
        return o.CommandStatus.SUCCESS

    def Operate(self, command, index, handler, kind):
        if index >= 200:
            return o.CommandStatus.NOT_SUPPORTED
        if index % LANES == DENY:
            return REFUSALS[index // LANES % len(REFUSALS)]
        return o.CommandStatus.SUCCESS


class Device(o.IOutstationApplication):
    pass


class Silent(o.ILogHandler):
    def log(self, module, id, level, location, message):
        pass


class SOE(o.ISOEHandler):
    def BeginFragment(self, info):
        pass

    def EndFragment(self, info):
        pass

    def Process(self, info, values):
        pass

    def OnDeviceAttribute(self, info, set, variation, value):
        pass


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


class Listener(o.IChannelListener):
    def OnStateChange(self, state):
        pass


done = threading.Semaphore(0)


def reached():
    if not done.acquire(timeout=60):
        sys.exit("a task of the master did not end")


def milliseconds(n):
    return o.TimeDuration.Milliseconds(n)


def outcome(result):
    """What the master says of a control of one point."""
    C, P, S = o.TaskCompletion, o.CommandPointState, o.CommandStatus
    if result.summary == C.FAILURE_RESPONSE_TIMEOUT:
        return "timeout"
    points = result.to_list()
    if result.summary != C.SUCCESS or len(points) != 1:
        return "the task " + result.summary.name
    state, status = points[0].state, points[0].status
    if state == P.SUCCESS or state in (P.SELECT_FAIL, P.OPERATE_FAIL) and status not in (S.SUCCESS, S.UNDEFINED):
        return {S.SUCCESS: "confirmed", S.TIMEOUT: "timeout", S.NO_SELECT: "no_select"}.get(status, "refused")  # answered, and how
    if state in (P.INIT, P.SELECT_SUCCESS, P.SELECT_MISMATCH, P.SELECT_FAIL, P.OPERATE_FAIL):
        return "mismatch"  # answered, and not about this point
    return "the point " + state.name + " " + status.name


def main():
    manager = o.DNP3Manager(1, Silent())
    levels, listener = o.levels.NOTHING, Listener()
    config = o.OutstationStackConfig(o.DatabaseConfig(12))
    config.outstation.params.selectTimeout = milliseconds(SELECT_LASTS if CLIENT == 0 else 10000)
    config.link.LocalAddr, config.link.RemoteAddr = 10, 1
    commands, device, soe, application = Commands(), Device(), SOE(), Application()
    server = manager.AddTCPServer("server", levels, o.ServerAcceptMode.CloseExisting, o.IPEndpoint("127.0.0.1", SERVER), listener)
    outstation = server.AddOutstation("outstation", commands, device, config)
    outstation.Enable()
    if CLIENT == 0:
        print("ready", flush=True)
        sys.stdin.read()
        manager.Shutdown()
        return
    time.sleep(0.3)  # the server listens before the client calls
    client = manager.AddTCPClient("client", levels, o.ChannelRetry.Default(), [o.IPEndpoint("127.0.0.1", CLIENT)], "0.0.0.0", listener)
    stack = o.MasterStackConfig()
    stack.link.LocalAddr, stack.link.RemoteAddr = 1, 10
    stack.master.disableUnsolOnStartup = True
    stack.master.responseTimeout = milliseconds(PATIENCE)
    master = client.AddMaster("master", soe, application, stack)
    master.Enable()
    for _ in range(4):  # disable unsolicited, clear restart, integrity, enable unsolicited
        reached()
    for n, line in enumerate(sys.stdin):
        group, index, value, selects = (int(float(x)) for x in line.split())
        command = o.AnalogOutputInt16(value)
        if group == 12:
            command = o.ControlRelayOutputBlock(o.OperationType.LATCH_ON if value else o.OperationType.LATCH_OFF)
        said = []
        send = master.SelectAndOperate if selects else master.DirectOperate
        send(command, index, lambda r: said.append(outcome(r)))
        reached()
        while not said:
            time.sleep(0.001)
        print(json.dumps({"n": n, "outcome": said[0]}), flush=True)
        if n % 4 == 0 or said[0] == "timeout":
            master.ScanClasses(o.ClassField.AllEventClasses(), soe)
            reached()
    manager.Shutdown()


try:
    main()
except BaseException as e:
    print(repr(e), "at line", e.__traceback__.tb_next.tb_lineno if e.__traceback__.tb_next else "", file=sys.stderr)
    os._exit(1)  # the stack's threads would not end
