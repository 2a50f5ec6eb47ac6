import CulvertSSH
import Foundation
import Synchronization
import Testing

@testable import CulvertIdentity

/// A pseudo-terminal: what is written to the main end is typed, what comes out of it is shown.
final class PseudoTerminal: Sendable {
    let main: CInt
    let other: CInt
    let path: String

    init() throws {
        main = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC)
        var unlock: CInt = 0
        var number: CUnsignedInt = 0
        // TIOCSPTLCK and TIOCGPTN of <asm-generic/ioctls.h>.
        guard main >= 0, ioctl(main, 0x4004_5431, &unlock) == 0, ioctl(main, 0x8004_5430, &number) == 0 else {
            throw Workshop.Failure(what: "no pseudo-terminal: \(errno)")
        }
        path = "/dev/pts/\(number)"
        // Held open, so that the terminal outlives the prompter's own descriptor.
        other = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC)
        guard other >= 0 else { throw Workshop.Failure(what: "\(path): \(errno)") }
    }

    deinit {
        close(main)
        close(other)
    }

    var echoes: Bool {
        var state = termios()
        return tcgetattr(other, &state) == 0 && state.c_lflag & tcflag_t(ECHO) != 0
    }

    func type(_ text: String) {
        let bytes = Array(text.utf8)
        #expect(write(main, bytes, bytes.count) == bytes.count)
    }

    /// What is shown now.
    func shown() -> String {
        var text: [UInt8] = []
        var entry = pollfd(fd: main, events: Int16(POLLIN), revents: 0)
        while poll(&entry, 1, 0) > 0, entry.revents & Int16(POLLIN) != 0 {
            var buffer = [UInt8](repeating: 0, count: 4096)
            let count = read(main, &buffer, buffer.count)
            if count <= 0 { break }
            text += buffer[..<count]
        }
        return String(decoding: text, as: UTF8.self)
    }
}

/// One terminal can be quiet in a process at a time: one test after another.
@Suite(.serialized) struct TerminalPrompterTests {
    /// A question that waits on a thread of its own.
    private final class Asking: Sendable {
        private let result = Mutex<Result<String?, any Error>?>(nil)

        init(_ terminal: PseudoTerminal, echo: Bool, seconds: Int = 30, _ question: String = "Password: ") {
            Thread.detachNewThread {
                let prompter = TerminalPrompter(environment: [:], terminal: terminal.path)
                let answer = Result { text(try prompter.ask(question, echo: echo, seconds: seconds)) }
                self.result.withLock { $0 = answer }
            }
        }

        func answer() throws -> String? {
            try waitUntil("the question is answered") { result.withLock { $0 != nil } }
            return try result.withLock { try $0?.get() }
        }
    }

    @Test func aPasswordIsNotShownAndEchoComesBack() throws {
        let terminal = try PseudoTerminal()
        #expect(terminal.echoes)
        terminal.type("typed too early\n")
        var early = ""
        try waitUntil("the early line has arrived") {
            early += terminal.shown()
            return early.hasSuffix("early\r\n")
        }
        let asking = Asking(terminal, echo: false)
        try waitUntil("the terminal is quiet") { !terminal.echoes }
        var shown = ""
        try waitUntil("the question is there") {
            shown += terminal.shown()
            return shown.hasSuffix("Password: ")
        }
        terminal.type("s3cret\n")
        #expect(try asking.answer() == "s3cret")
        #expect(terminal.echoes)
        #expect(terminal.shown() == "\r\n" && !shown.contains("s3cret"))
    }

    @Test func anOpenQuestionIsShownAndCannotDriveTheTerminal() throws {
        let terminal = try PseudoTerminal()
        let asking = Asking(terminal, echo: true, "Sure?\n\u{1b}[2J\u{202e} ")
        var shown = ""
        try waitUntil("the question is there") {
            shown += terminal.shown()
            return shown.hasSuffix(" ")
        }
        #expect(shown == "Sure?\r\n\\u{1b}[2J\\u{202e} ")
        #expect(terminal.echoes)
        terminal.type("yes\n")
        #expect(try asking.answer() == "yes")
        #expect(terminal.shown() == "yes\r\n")
    }

    @Test func theEndOfInputIsNoAnswer() throws {
        let terminal = try PseudoTerminal()
        let asking = Asking(terminal, echo: false)
        try waitUntil("the terminal is quiet") { !terminal.echoes }
        terminal.type("\u{4}")
        #expect(try asking.answer() == nil)
        #expect(terminal.echoes)
    }

    @Test func aQuestionHasItsTime() throws {
        let terminal = try PseudoTerminal()
        let asking = Asking(terminal, echo: false, seconds: 1)
        let error = #expect(throws: SSHError.self) { try asking.answer() }
        #expect(error?.description.contains("in time") == true)
        #expect(terminal.echoes)
    }

    @Test func restoringEndsTheQuiet() throws {
        let terminal = try PseudoTerminal()
        let asking = Asking(terminal, echo: false)
        try waitUntil("the terminal is quiet") { !terminal.echoes }
        TerminalPrompter.restoreTerminal()
        #expect(terminal.echoes)
        terminal.type("x\n")
        #expect(try asking.answer() == "x")
    }

    /// A process of its own asks, and dies of the signal; the terminal is watched from here.
    @Test func aSignalRestoresTheTerminal() async throws {
        let terminal = try PseudoTerminal()
        await #expect(processExitsWith: .signal(SIGINT)) { [path = terminal.path as String] in
            try Self.dieAsking(path, SIGINT)
        }
        #expect(terminal.echoes)
        await #expect(processExitsWith: .signal(SIGTERM)) { [path = terminal.path as String] in
            try Self.dieAsking(path, SIGTERM)
        }
        #expect(terminal.echoes)
        await #expect(processExitsWith: .signal(SIGHUP)) { [path = terminal.path as String] in
            try Self.dieAsking(path, SIGHUP)
        }
        #expect(terminal.echoes)
    }

    @Test func exitRestoresTheTerminal() async throws {
        let terminal = try PseudoTerminal()
        await #expect(processExitsWith: .exitCode(7)) { [path = terminal.path as String] in
            try Self.beginAsking(path)
            exit(7)
        }
        #expect(terminal.echoes)
    }

    private static func dieAsking(_ path: String, _ signal: CInt) throws {
        var action = sigaction()
        action.__sigaction_handler.sa_handler = SIG_DFL
        sigaction(signal, &action, nil)
        try beginAsking(path)
        kill(getpid(), signal)
        try waitUntil("the signal comes") { false }
    }

    /// Returns when the terminal is quiet and the question waits.
    private static func beginAsking(_ path: String) throws {
        let watch = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC)
        Thread.detachNewThread {
            _ = try? TerminalPrompter(environment: [:], terminal: path).ask("Password: ", echo: false, seconds: 10)
        }
        try waitUntil("the terminal is quiet") {
            var state = termios()
            return tcgetattr(watch, &state) == 0 && state.c_lflag & tcflag_t(ECHO) == 0
        }
    }
}

@Suite struct AskpassTests {
    @Test(
        arguments: [
            ([:], true, PromptRoute.terminal), ([:], false, .nobody),
            (["DISPLAY": ":0"], false, .program("/usr/bin/ssh-askpass")), (["DISPLAY": ":0"], true, .terminal),
            (["WAYLAND_DISPLAY": "w", "SSH_ASKPASS": "/a"], false, .program("/a")),
            (["SSH_ASKPASS": "/a"], false, .nobody), (["SSH_ASKPASS": "/a", "DISPLAY": ""], false, .nobody),
            (["SSH_ASKPASS": "/a", "SSH_ASKPASS_REQUIRE": "force"], true, .program("/a")),
            (["SSH_ASKPASS": "/a", "SSH_ASKPASS_REQUIRE": "Prefer"], true, .terminal),
            (["SSH_ASKPASS": "/a", "SSH_ASKPASS_REQUIRE": "prefer", "DISPLAY": ":0"], true, .program("/a")),
            (["SSH_ASKPASS": "/a", "SSH_ASKPASS_REQUIRE": "never", "DISPLAY": ":0"], false, .nobody),
        ] as [([String: String], Bool, PromptRoute)])
    func theRouteIsSSHs(environment: [String: String], hasTerminal: Bool, expected: PromptRoute) {
        #expect(PromptRoute.choose(environment: environment, hasTerminal: hasTerminal) == expected)
    }

    private func ask(_ script: String, seconds: Int = 10) throws -> String? {
        let workshop = try Workshop()
        // Written by a child: a descriptor of ours could be in another test's child just when the program starts (ETXTBSY).
        try workshop.write("draft", "#!/bin/sh\n" + script)
        try workshop.run("install", ["-m", "700", "draft", "askpass"])
        let path = workshop.file("askpass")
        let prompter = TerminalPrompter(
            environment: ["SSH_ASKPASS": path, "SSH_ASKPASS_REQUIRE": "force", "PATH": "/usr/bin:/bin", "MARK": "m"])
        return text(try prompter.ask("Say it: ", echo: false, seconds: seconds))
    }

    @Test func aProgramAnswers() throws {
        #expect(try ask("echo \"$MARK $1\"; echo more\n") == "m Say it: ")
        #expect(try ask("printf 'no line end'\n") == "no line end")
        #expect(try ask("echo\n") == "")
        #expect(try ask("echo secret; exit 1\n") == nil)
        #expect(try ask("exit 0\n") == nil)
    }

    /// As execvp(3) has it.
    @Test func aProgramIsFoundThroughPathAndNeedsNoFirstLine() throws {
        let workshop = try Workshop()
        try workshop.write("draft", "echo \"$1yes\"\n")
        try workshop.run("install", ["-m", "700", "draft", "ask"])
        try workshop.run("install", ["-m", "600", "draft", "closed"])
        func prompter(_ name: String, path: String) -> TerminalPrompter {
            TerminalPrompter(environment: ["SSH_ASKPASS": name, "SSH_ASKPASS_REQUIRE": "force", "PATH": path])
        }
        let directory = workshop.file("")
        let path = "/nothing/of/that/name:/etc/passwd:\(directory):/usr/bin:/bin"
        #expect(text(try prompter("ask", path: path).ask("Well? ", echo: false, seconds: 10)) == "Well? yes")
        #expect(text(try prompter(workshop.file("ask"), path: "").ask("", echo: false, seconds: 10)) == "yes")
        for (name, words) in [("closed", "Permission denied"), ("nothing-of-that-name", "No such file")] {
            let error = #expect(throws: SSHError.self) {
                try prompter(name, path: path).ask("?", echo: false, seconds: 10)
            }
            #expect(error?.description.contains(words) == true, "\(error?.description ?? "")")
        }
    }

    @Test func aProgramThatHangsOrFailsIsToldInWords() throws {
        let hangs = #expect(throws: SSHError.self) { try ask("exec sleep 100\n", seconds: 1) }
        #expect(hangs?.description.contains("in time") == true)
        let stays = #expect(throws: SSHError.self) { try ask("echo x; exec sleep 100\n", seconds: 1) }
        #expect(stays?.description.contains("did not end in time") == true)
        let long = #expect(throws: SSHError.self) { try ask("head -c 9000 /dev/zero | tr '\\0' x\n") }
        #expect(long?.description.contains("too long") == true)
        let prompter = TerminalPrompter(
            environment: ["SSH_ASKPASS": "/does/not/exist", "SSH_ASKPASS_REQUIRE": "force"])
        let missing = #expect(throws: SSHError.self) { try prompter.ask("?", echo: false, seconds: 1) }
        #expect(missing?.description.contains("No such file") == true)
    }
}
