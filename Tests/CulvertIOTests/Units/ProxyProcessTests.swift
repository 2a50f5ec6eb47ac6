import CulvertIO
import Glibc
import Testing

/// The program of a ProxyCommand, by itself.
@Suite struct ProxyProcessTests {
    /// What it said, and how it ended.
    private func run(_ command: String) throws -> (lines: [String], ending: ProxyProcess.Ending?) {
        let lines = Guarded<[String]>([])
        let (process, stream) = try ProxyProcess.start(shell: "/bin/sh", command: command) { line in
            lines.withLock { $0.append(String(decoding: line, as: UTF8.self)) }
        }
        defer { SocketOption.close(stream) }
        let ending = process.ending(by: Tick.current() + .seconds(20))
        return (lines.withLock { $0 }, ending)
    }

    @Test func endings() throws {
        #expect(try run("exit 0").ending == .exited(0))
        #expect(try run("exit 77").ending == .exited(77))
        #expect(try run("kill -USR1 $$").ending == .signalled(SIGUSR1))
    }

    @Test func whatItSaysComesInLines() throws {
        #expect(try run("printf 'one\\ntwo\\r\\n\\nthree' >&2").lines == ["one", "two", "three"])
        // More than a pipe holds, and no line's end.
        let long = try run("head -c 200000 /dev/zero | tr '\\0' x >&2").lines
        #expect(long.map(\.count).reduce(0, +) == 200_000 && long.allSatisfy { $0.count <= 4096 })
    }

    @Test func itsStandardInputAndOutputAreTheStream() throws {
        let (process, descriptor) = try ProxyProcess.start(shell: "/bin/sh", command: "tr a-z A-Z | head -c 5") { _ in }
        let stream = BlockingSocket(adopting: descriptor)
        let deadline = Tick.current() + .seconds(20)
        var text = Array("hello world".utf8)
        try text.withUnsafeBytes { try stream.send($0, deadline: deadline) }
        #expect(shutdown(descriptor, Int32(SHUT_WR)) == 0)
        let count = try text.withUnsafeMutableBytes { try stream.receive(into: $0, deadline: deadline) }
        #expect(String(decoding: text[..<count], as: UTF8.self) == "HELLO")
        #expect(process.ending(by: deadline) == .exited(0))
    }

    @Test func oneBesideReadsNothingAndWhatItLeavesLivesOn() throws {
        let lines = Guarded<[String]>([])
        let mark = "/tmp/culvert-beside-\(getpid())"
        defer { unlink(mark) }
        let process = try ProxyProcess.startBeside(
            shell: "/bin/sh", command: "wc -c >&2; (sleep 1; touch \(mark)) 2>/dev/null & exit 3"
        ) { line in lines.withLock { $0.append(String(decoding: line, as: UTF8.self)) } }
        #expect(process.ending(by: Tick.current() + .seconds(20)) == .exited(3))
        #expect(lines.withLock { $0 } == ["0"])
        let deadline = Tick.current() + .seconds(20)
        while access(mark, F_OK) != 0, Tick.current() < deadline { usleep(10_000) }
        #expect(access(mark, F_OK) == 0)
        #expect(throws: IOError.self) {
            _ = try ProxyProcess.startBeside(shell: "/nonexistent/shell", command: "exit 0") { _ in }
        }
    }

    @Test func aShellThatIsNotThereIsAnError() {
        let error = #expect(throws: IOError.self) {
            _ = try ProxyProcess.start(shell: "/nonexistent/shell", command: "exit 0") { _ in }
        }
        #expect(error?.number == ENOENT)
    }

    @Test("the end of the process is the end of every program, of one that heeds no signal too")
    func endAll() async {
        await #expect(processExitsWith: .success) {
            var kept: [(process: ProxyProcess, stream: Descriptor)] = []
            for command in ["trap '' HUP TERM INT; echo; while :; do sleep 100; done", "echo; exec sleep 100"] {
                let made = try ProxyProcess.start(shell: "/bin/sh", command: command) { _ in }
                // It is that far.
                var byte: UInt8 = 0
                while read(made.stream, &byte, 1) != 1 { usleep(1000) }
                kept.append(made)
            }
            let begun = Tick.current()
            ProxyProcess.endAll(patience: .milliseconds(200))
            precondition(Tick.current() - begun < .seconds(5))
            precondition(kept[0].process.ending(by: Tick.current() + .seconds(5)) == .signalled(SIGKILL))
            precondition(kept[1].process.ending(by: Tick.current() + .seconds(5)) == .signalled(SIGHUP))
            ProxyProcess.endAll()
        }
    }

    @Test func endsWithTheLastReferenceAndItsGroupToo() throws {
        let deadline = Tick.current() + .seconds(20)
        var (process, descriptor): (ProxyProcess?, Descriptor) = try ProxyProcess.start(
            shell: "/bin/sh", command: "sleep 1000 & echo ready; sleep 1000"
        ) { _ in }
        let stream = BlockingSocket(adopting: descriptor)
        var bytes = [UInt8](repeating: 0, count: 16)
        let said = try bytes.withUnsafeMutableBytes { try stream.receive(into: $0, deadline: deadline) }
        #expect(said == 6)
        #expect(process?.ending(by: Tick.current()) == nil)
        process = nil
        // All three had it open.
        let more = try bytes.withUnsafeMutableBytes { try stream.receive(into: $0, deadline: deadline) }
        #expect(more == 0)
    }

    @Test func oneThatIgnoresEveryRequestIsKilled() throws {
        let (process, stream) = try ProxyProcess.start(
            shell: "/bin/sh", command: "trap '' HUP TERM; echo ready; while :; do sleep 1000; done"
        ) { _ in }
        let socket = BlockingSocket(adopting: stream)
        var bytes = [UInt8](repeating: 0, count: 16)
        let deadline = Tick.current() + .seconds(20)
        _ = try bytes.withUnsafeMutableBytes { try socket.receive(into: $0, deadline: deadline) }
        process.end()
        #expect(process.ending(by: deadline) == .signalled(SIGKILL))
    }
}
