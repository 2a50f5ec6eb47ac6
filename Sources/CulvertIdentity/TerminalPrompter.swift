public import CulvertSSH
internal import Glibc
internal import Synchronization

/// Asks on /dev/tty, or through SSH_ASKPASS, by ssh's rules.
///
/// Where a password is typed the terminal does not show it; the terminal is put back as it was after the answer, when
/// the time is over, at `exit`, and when SIGINT, SIGTERM, SIGHUP, SIGQUIT or SIGTSTP come with their default action. A
/// program that handles those itself and leaves by `_exit` calls `restoreTerminal` first.
public struct TerminalPrompter: Prompter {
    /// One question at a time, whoever asks: several logins may be under way.
    private static let turn = Mutex(())

    private let terminal: String
    private let environment: [String: String]

    /// - Parameter environment: the whole of it. DISPLAY, WAYLAND_DISPLAY, SSH_ASKPASS and SSH_ASKPASS_REQUIRE are looked
    ///   at, and the program that asks gets all of it.
    public init(environment: [String: String], terminal: String = "/dev/tty") {
        self.environment = environment
        self.terminal = terminal
    }

    /// Whether a program would be asked where there is no terminal, or before it.
    public static func mayRunProgram(environment: [String: String]) -> Bool {
        switch PromptRoute.choose(environment: environment, hasTerminal: false) {
        case .program: true
        case .terminal, .nobody: false
        }
    }

    public static func restoreTerminal() {
        QuietTerminal.restore()
    }

    public func ask(_ question: String, echo: Bool, seconds: Int) throws(SSHError) -> Secret? {
        let asked: Result<Secret?, SSHError> = Self.turn.withLock { _ in
            do throws(SSHError) { return .success(try askNow(question, echo: echo, seconds: seconds)) } catch {
                return .failure(error)
            }
        }
        return try asked.get()
    }

    private func askNow(_ question: String, echo: Bool, seconds: Int) throws(SSHError) -> Secret? {
        let descriptor = unsafe open(terminal, O_RDWR | O_NOCTTY | O_CLOEXEC)
        defer { if descriptor >= 0 { close(descriptor) } }
        let question = shownSafely(question)
        switch PromptRoute.choose(environment: environment, hasTerminal: descriptor >= 0) {
        case .terminal:
            return try Self.ask(question, echo: echo, on: descriptor, Deadline(seconds: seconds))
        case .program(let path):
            return try AskpassProgram(path: path, environment: environment)
                .ask(question, deadline: Deadline(seconds: seconds))
        case .nobody:
            return nil
        }
    }

    /// The longest line that a terminal gives (N_TTY_BUF_SIZE in the kernel's n_tty.c): longer ones are cut there,
    /// so one that fills the buffer is refused.
    static let longestLine = 4096

    private static func ask(
        _ question: String, echo: Bool, on descriptor: CInt, _ deadline: Deadline
    ) throws(SSHError) -> Secret? {
        let quiet = !echo && QuietTerminal.begin(descriptor)
        defer {
            if quiet {
                QuietTerminal.end()
                // The Enter that ended the answer was not shown either.
                write("\n", to: descriptor)
            }
        }
        write(question, to: descriptor)
        return try readLine(descriptor, deadline, from: "terminal")
    }

    /// One line from a terminal or a program. nil: the input ended before a line did, and nothing stood there.
    static func readLine(
        _ descriptor: CInt, _ deadline: Deadline, from source: String
    ) throws(SSHError) -> Secret? {
        var line = [UInt8](repeating: 0, count: longestLine)
        defer { line.wipe() }
        var filled = 0
        var ended = false
        while !ended {
            guard filled < line.count else { throw SSHError(.local, "the answer from the \(source) is too long") }
            guard deadline.wait(descriptor, for: POLLIN) else {
                throw SSHError(.local, "nobody answered the question in time")
            }
            let count = unsafe line.withUnsafeMutableBytes { buffer in
                unsafe read(descriptor, buffer.baseAddress! + filled, buffer.count - filled)
            }
            if count < 0, errno == EINTR || errno == EAGAIN { continue }
            if count <= 0 {
                if filled == 0 { return nil }
                break
            }
            ended = line[filled..<filled + count].contains(UInt8(ascii: "\n"))
            filled += count
        }
        let stop = line[..<filled].firstIndex { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") } ?? filled
        return unsafe line.withUnsafeBytes { buffer in
            unsafe Secret(copying: UnsafeRawBufferPointer(rebasing: buffer[..<stop]))
        }
    }

    private static func write(_ text: String, to descriptor: CInt) {
        let bytes = Array(text.utf8)
        var written = 0
        while written < bytes.count {
            let count = unsafe bytes.withUnsafeBytes { buffer in
                unsafe Glibc.write(descriptor, buffer.baseAddress! + written, buffer.count - written)
            }
            if count < 0, errno == EINTR { continue }
            // A terminal that has gone: the read that follows tells.
            if count <= 0 { return }
            written += count
        }
    }
}
