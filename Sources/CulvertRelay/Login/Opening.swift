internal import CulvertIO
internal import CulvertPlan
internal import CulvertSSH

extension Login {
    /// The way to the first server of a path: a TCP connection, or a ProxyCommand's where `path` is there to carry it.
    static func open(
        _ plan: LoginPlan, _ path: LinkPath?, _ knocks: LoginKnocks, _ journal: Journal, _ watch: LoginWatch
    ) throws(SSHError) -> BlockingSocket {
        guard let command = plan.command, let path else {
            let socket = try connect(plan, knocks, journal, watch)
            watch.runs(over: socket.descriptor)
            return socket
        }
        journal.debug("starting the ProxyCommand: \(PeerText(command.text))")
        let started: (process: ProxyProcess, stream: Descriptor)
        do throws(IOError) {
            started = try ProxyProcess.start(shell: command.shell, command: "exec \(command.text)") {
                journal.error("ProxyCommand: \(PeerText($0))")
            }
        } catch {
            throw SSHError(.local, "the ProxyCommand cannot be started: \(PeerText(command.shell)): \(error)")
        }
        let stream = BlockingSocket(adopting: started.stream)
        if command.passesDescriptor { return try passed(by: started.process, over: stream, plan) }
        path.carry(over: started.process)
        return stream
    }

    /// The connection that a program makes and hands over (ProxyUseFdpass); then it is of no use any more, and ends.
    private static func passed(
        by process: ProxyProcess, over stream: borrowing BlockingSocket, _ plan: LoginPlan
    ) throws(SSHError) -> BlockingSocket {
        let connection: BlockingSocket?
        do throws(IOError) { connection = try stream.receiveConnection(deadline: Tick.current() + plan.connect) } catch
        {
            throw SSHError(.transport, "the ProxyCommand passed no connection (ProxyUseFdpass): \(error)")
        }
        // Its goodbye; else it is ended.
        let ending = process.ending(by: Tick.current() + .seconds(1))
        guard let connection else {
            let how =
                switch ending {
                case .exited(let status)?: ": it ended with exit status \(status)"
                case .signalled(let signal)?: ": it was ended by signal \(signal)"
                case nil: ""
                }
            throw SSHError(.transport, "the ProxyCommand passed no connection (ProxyUseFdpass)\(how)")
        }
        SocketOption.setNoDelay(connection.descriptor)
        if plan.tcpKeepAlive { SocketOption.setKeepAlive(connection.descriptor) }
        return connection
    }
}
