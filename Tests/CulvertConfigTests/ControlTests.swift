import CulvertPlan
import Testing

@testable import CulvertConfig

/// `-M -S`, and `-O`.
@Suite struct ControlTests {
    private func request(_ line: String, _ file: String = "") throws -> ControlRequest {
        guard
            case .control(let request) = try parseCommandLine(
                (file.isEmpty ? [] : ["-F", "/f"]) + line.split(separator: " ").map(String.init),
                environment: testEnvironment, access: file.isEmpty ? .nothing : MemoryFiles(["/f": file]).access)
        else { throw NotATunnel() }
        return request
    }

    @Test(arguments: [
        ("-M -S /run/c", "/run/c"), ("-MS/run/c", "/run/c"), ("-M -o ControlPath=/run/c", "/run/c"),
        ("-oControlMaster=yes -S /run/c", "/run/c"), ("-oControlMaster=auto -S /run/c", "/run/c"),
        ("-M -S ~/c-%r@%h:%p-%n", "/home/ann/c-ann@h:22-h"), ("-M -S ${KEYS}/%%", "/keys/%"),
    ])
    func aTunnelIsItsOwnMaster(_ words: String, _ path: String) throws {
        let line = words.split(separator: " ").map(String.init) + ["-L1:a:2", "h"]
        #expect(try tunnel(line).controlPath == path)
    }

    @Test(arguments: [
        "-S /run/c", "-M", "-MM -S /run/c", "-M -S none", "-oControlMaster=ask -S /run/c", "-M 0 -S /run/c",
    ])
    func itIsNone(_ words: String) throws {
        let line = words.split(separator: " ").map(String.init) + ["-L1:a:2", "h"]
        #expect(try tunnel(line).controlPath == nil)
    }

    /// There it is meant for ssh's sessions.
    @Test func aFileNeverMakesOneAMaster() throws {
        let file = "ControlMaster yes\nControlPath /run/%C\nControlPersist 10m\n"
        for (words, path) in [("-F /f", nil), ("-F /f -M -S /own", "/own")] as [(String, String?)] {
            let line = words.split(separator: " ").map(String.init) + ["-L1:a:2", "h"]
            guard
                case .tunnel(let tunnel) = try parseCommandLine(
                    line, environment: testEnvironment, access: MemoryFiles(["/f": file]).access)
            else { throw NotATunnel() }
            #expect(tunnel.controlPath == path)
        }
    }

    /// Of another process, for a login that lacks an answer.
    @Test(arguments: [
        ("-S /run/c-%p", "", "/run/c-22"), ("-S none", "ControlPath /run/c\n", nil), ("", "ControlPath none\n", nil),
        ("", "ControlMaster auto\nControlPath /run/%h\n", "/run/h"), ("-M -S /run/c", "", nil), ("", "", nil),
        ("--engine libssh2", "ControlPath /run/c\n", nil), ("", "ControlPath /run/%q\n", nil),
    ])
    func aMasterThatMayRun(_ words: String, _ file: String, _ path: String?) throws {
        let line = ["-F", "/f"] + words.split(separator: " ").map(String.init) + ["-L1:a:2", "h"]
        guard
            case .tunnel(let tunnel) = try parseCommandLine(
                line, environment: testEnvironment, access: MemoryFiles(["/f": file]).access)
        else { throw NotATunnel() }
        #expect(tunnel.plan.masterPath == path)
        #expect(tunnel.notes.contains { $0.contains("no running master is gone by") } == file.contains("%q"))
    }

    @Test func somethingIsAsked() throws {
        let check = try request("-S /c -O check h")
        #expect(check.command == .check && check.path == "/c" && check.forwards.isEmpty && check.patience == nil)
        let added = try request("-O forward -S /c-%p -p 7 -L 1:a:2 -R /s:/t -oConnectTimeout=3 h")
        #expect(added.command == .forward && added.path == "/c-7" && added.patience == .seconds(3))
        #expect(added.forwards.map(\.kind) == [.local, .remote])
        // As ssh: the master's path may stand in a file.
        #expect(try request("-O exit h", "ControlPath /run/%h\nControlMaster auto\n").path == "/run/h")
    }

    @Test(arguments: [
        ("-O status -S /c h", "-O status: give check, stop, exit, forward or cancel"),
        ("-O check h", "-O check: no ControlPath: give the master's socket with -S"),
        ("-O check -S none h", "-O check: no ControlPath: give the master's socket with -S"),
        ("-O check -O exit -S /c h", "-O exit: one command is given already"),
        ("-O check -S /c -W a:1 h", "-W a:1: -O asks for no standard streams: leave one of the two out"),
        ("-O check -S /c", "no destination: give one, for example culvert -L 5432:db:5432 user@server"),
        ("-O", "-O needs a value"),
        ("-M -S %q -L1:a:2 h", "ControlPath %q: unknown token after '%': write %% for the sign itself"),
    ])
    func faults(_ line: String, _ message: String) {
        #expect(fault(line.split(separator: " ").map(String.init)) == message)
    }
}
