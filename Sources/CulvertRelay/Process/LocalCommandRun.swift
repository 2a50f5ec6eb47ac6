internal import CulvertIO
internal import CulvertPlan
internal import CulvertSSH

/// The LocalCommand of a tunnel: run each time that its first link stands, and waited for by nobody meanwhile. At the end it
/// may finish within a time.
struct LocalCommandRun: ~Copyable {
    private let command: LocalCommand
    private let journal: Journal
    private var process: ProxyProcess?

    init(_ command: LocalCommand, _ journal: Journal) {
        self.command = command
        self.journal = journal
    }

    mutating func begin() {
        if let process, process.ending(by: Tick(nanoseconds: 0)) == nil {
            return journal.verbose("the LocalCommand still runs: it is not started again")
        }
        journal.debug("starting the LocalCommand: \(PeerText(command.text))")
        let journal = journal
        do throws(IOError) {
            process = try ProxyProcess.startBeside(shell: command.shell, command: command.text) {
                journal.error("LocalCommand: \(PeerText($0))")
            }
        } catch {
            process = nil
            journal.error("the LocalCommand cannot be started: \(PeerText(command.shell)): \(error)")
        }
    }

    /// The tunnel is over.
    func finish(by deadline: Tick) { _ = process?.ending(by: deadline) }
}
