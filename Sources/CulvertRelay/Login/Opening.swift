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
        do throws(IOError) {
            let (process, stream) = try ProxyProcess.start(shell: command.shell, command: "exec \(command.text)") {
                journal.error("ProxyCommand: \(PeerText($0))")
            }
            path.carry(over: process)
            return BlockingSocket(adopting: stream)
        } catch {
            throw SSHError(.local, "the ProxyCommand cannot be started: \(PeerText(command.shell)): \(error)")
        }
    }
}
