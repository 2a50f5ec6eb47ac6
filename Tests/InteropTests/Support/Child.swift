import Foundation

/// How a process ended.
enum Ending: Equatable, CustomStringConvertible {
    case exited(Int32)
    case signalled(Int32)

    var description: String {
        switch self {
        case .exited(let code): "exit code \(code)"
        case .signalled(let signal): "signal \(signal)"
        }
    }
}

/// A real program, started in a process group of its own with its output in files under the stage's directory.
///
/// Invariant: the group is registered with the `Reaper` for as long as the program may run.
final class Child: @unchecked Sendable {
    let name: String
    let pid: pid_t
    let outputPath: String
    let errorPath: String
    private(set) var ending: Ending?
    private let lock = NSLock()

    /// Starts `command[0]`, looked up in `PATH`. `environment` is added to the runner's own; an empty value removes.
    init(_ name: String, _ command: [String], in directory: String, environment: [String: String] = [:]) throws {
        self.name = name
        outputPath = "\(directory)/\(name).out"
        errorPath = "\(directory)/\(name).err"

        var merged = ProcessInfo.processInfo.environment
        for (key, value) in environment { merged[key] = value.isEmpty ? nil : value }

        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, outputPath, O_WRONLY | O_CREAT | O_APPEND, 0o644)
        posix_spawn_file_actions_addopen(&actions, 2, errorPath, O_WRONLY | O_CREAT | O_APPEND, 0o644)

        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // The runner ignores SIGPIPE and its threads may block signals; the program must start with neither.
        var every = sigset_t()
        var none = sigset_t()
        sigfillset(&every)
        sigemptyset(&none)
        posix_spawnattr_setsigdefault(&attributes, &every)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))

        var words = cStrings(command)
        var settings = cStrings(merged.map { "\($0.key)=\($0.value)" })
        defer { for word in words + settings { free(word) } }
        // What other suites of this process have open is not the program's.
        for name in try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd") {
            if let descriptor = Int32(name), descriptor > 2 { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
        }
        var started: pid_t = 0
        let failure = posix_spawnp(&started, command[0], &actions, &attributes, &words, &settings)
        guard failure == 0 else {
            throw Failure("\(command[0]) does not start: \(String(cString: strerror(failure)))")
        }
        pid = started
        Reaper.shared.register(group: started)
    }

    var errorText: String { readWhole(errorPath) }
    var outputText: String { readWhole(outputPath) }
    var errorLines: [String] { errorText.split(separator: "\n").map(String.init) }

    /// Whether the program has not ended yet; an ended one is reaped here.
    var isRunning: Bool {
        lock.lock()
        defer { lock.unlock() }
        guard ending == nil else { return false }
        var information = siginfo_t()
        // Look first without reaping, so that the group leaves the reaper's list while its number is still ours.
        guard waitid(P_PID, id_t(pid), &information, WEXITED | WNOHANG | WNOWAIT) == 0, information.si_signo != 0
        else { return true }
        Reaper.shared.unregister(group: pid)
        var status: Int32 = 0
        waitpid(pid, &status, 0)
        ending = status & 0x7f == 0 ? .exited((status >> 8) & 0xff) : .signalled(status & 0x7f)
        return false
    }

    func signal(_ number: Int32) {
        guard isRunning else { return }
        kill(pid, number)
    }

    /// Waits for the end and returns it.
    @discardableResult
    func waitForEnd(within deadline: Double = 15) throws -> Ending {
        try waitUntil("\(name) ends", within: deadline) { !isRunning }
        return ending!
    }

    /// Ends the program and everything in its group, at once.
    func destroy() {
        guard isRunning else { return }
        kill(-pid, SIGKILL)
        kill(-pid, SIGCONT)
        _ = try? waitForEnd(within: 10)
    }

    /// Waits for a line on standard error that contains every one of `words`, ignoring case, and returns it.
    @discardableResult
    func waitForLine(_ words: [String], within deadline: Double = 15, after start: Int = 0) throws -> String {
        try eventually("\(name) says \(words)", within: deadline) {
            if let line = errorLines.dropFirst(start).first(where: { line in
                words.allSatisfy { line.range(of: $0, options: .caseInsensitive) != nil }
            }) {
                return line
            }
            // What was said last may have come between the first look and the end.
            guard
                isRunning
                    || errorLines.dropFirst(start).contains(where: { line in
                        words.allSatisfy { line.range(of: $0, options: .caseInsensitive) != nil }
                    })
            else { throw Failure("\(name) ended (\(ending!)) without saying \(words)") }
            return nil
        }
    }
}

/// Copies for a C interface, ended by nil; the caller frees them.
func cStrings(_ strings: [String]) -> [UnsafeMutablePointer<CChar>?] {
    strings.map { string in strdup(string) } + [nil]
}

/// The text of a C array up to its terminating zero.
func text(_ characters: [CChar]) -> String {
    String(decoding: characters.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}

/// The whole of a file, of /proc too, as text; empty when it cannot be read.
func readWhole(_ path: String) -> String {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return "" }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65_536)
    while true {
        let count = read(descriptor, &chunk, chunk.count)
        guard count > 0 else { return String(decoding: bytes, as: UTF8.self) }
        bytes += chunk[..<count]
    }
}
