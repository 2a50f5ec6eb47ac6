internal import ArgumentParser
internal import CulvertIO
internal import Glibc

/// The load generator: reads the command line, runs a workload, tells what it found.
@main
struct CulvertLoad: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "culvert-load",
        abstract: "Load for tunnels, proxies and relays, with every byte checked.",
        discussion: """
            The path to be measured leads from a workload to 'culvert-load serve':

              culvert-load serve --load 9000
              culvert-load stream 127.0.0.1:9000
              culvert-load request 127.0.0.1:9000 --connections 50

            Exit codes:
                0  every byte was right and nothing failed
                1  a payload was wrong, or a connection or a request failed
               64  the command line is wrong
               70  a fault of its own: please report it
               71  the system refuses threads, ports, open files or io_uring
            """,
        subcommands: [
            ServeCommand.self, StreamCommand.self, RequestCommand.self, ChurnCommand.self, IdleCommand.self,
            VNCCommand.self, DatabaseCommand.self, MixCommand.self,
        ])

    /// As culvert's own.
    static let version = "0.1.0"

    static func main() {
        ProcessFaults.endAtOnce(program: "culvert-load", version: version)
        var status = ExitStatus.success
        do { try attempt() } catch { status = tell(error) }
        // Without destructors: other threads may still run, and have nothing to save.
        _exit(status.rawValue)
    }

    private static func attempt() throws {
        var command: any ParsableCommand = try parseAsRoot(nil)
        try command.run()
    }

    /// Tells a person what stopped the run, and what that means for the exit status.
    private static func tell(_ error: any Error) -> ExitStatus {
        if let complaint = error as? Complaint {
            if !complaint.description.isEmpty { Output.sayError(complaint.description) }
            return complaint.exit
        }
        if let failure = error as? IOError {
            Output.sayError(failure.description)
            return .system
        }
        // Help was asked for.
        if exitCode(for: error).isSuccess {
            Output.say(fullMessage(for: error))
            return .success
        }
        Output.sayError(message(for: error))
        let known = configuration.subcommands.compactMap { $0.configuration.commandName }
        let named = CommandLine.arguments.dropFirst().first { known.contains($0) }
        Output.sayError("try 'culvert-load \(named.map { $0 + " " } ?? "")--help'")
        return .usage
    }
}
