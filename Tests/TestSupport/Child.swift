import Foundation

public struct Failed: Error, CustomStringConvertible {
    public let description: String
    public init(_ description: String) { self.description = description }
}

/// A program that runs beside the test. (Foundation's `Process` takes the end of one for the end of another that
/// inherited its descriptors, and starts programs with signals blocked.)
public final class Child {
    private let pid: pid_t
    public private(set) var status: Int32?

    /// Standard output and error go to the file `log`.
    public init(_ program: String, _ arguments: [String], log: String, environment: [String: String] = [:]) throws {
        var actions = posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawnattr_init(&attributes)
        defer {
            posix_spawn_file_actions_destroy(&actions)
            posix_spawnattr_destroy(&attributes)
        }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, log, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        let words = ([program] + arguments).map { strdup($0) } + [nil]
        let merged = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        let variables = merged.map { strdup("\($0)=\($1)") } + [nil]
        defer { for word in words + variables { free(word) } }
        var started: pid_t = 0
        let result = posix_spawn(&started, program, &actions, &attributes, words, variables)
        guard result == 0 else { throw Failed("\(program): \(result)") }
        pid = started
    }

    /// Ends it and every program that it started.
    public func kill() {
        guard status == nil else { return }
        for child in Self.children(of: pid) { _ = Foundation.kill(child, SIGKILL) }
        _ = Foundation.kill(pid, SIGKILL)
        wait()
    }

    public func wait() {
        var status: Int32 = 0
        while self.status == nil {
            if waitpid(pid, &status, 0) == pid || errno != EINTR { self.status = status }
        }
    }

    private static func children(of parent: pid_t) -> [pid_t] {
        let path = "/proc/\(parent)/task/\(parent)/children"
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else { return [] }
        let direct = text.split(separator: " ").compactMap { pid_t($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
        return direct.flatMap { children(of: $0) + [$0] }
    }
}

/// Runs a program to its end; throws with what it printed when it fails.
public func run(_ program: String, _ arguments: [String], environment: [String: String] = [:]) throws {
    let directory = try makeDirectory()
    defer { try? FileManager.default.removeItem(atPath: directory) }
    let child = try Child(program, arguments, log: directory + "/log", environment: environment)
    child.wait()
    guard child.status == 0 else {
        throw Failed("\(program): " + ((try? String(contentsOfFile: directory + "/log", encoding: .utf8)) ?? ""))
    }
}

/// A directory of its own; whoever asks for it removes it.
public func makeDirectory() throws -> String {
    var template = Array("/tmp/culvert-tests-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw Failed("mkdtemp: \(errno)") }
    return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
}

/// Asks until the condition holds; throws after twenty seconds.
public func waitUntil(_ what: String, _ condition: () -> Bool) throws {
    let deadline = Date().addingTimeInterval(20)
    while !condition() {
        guard Date() < deadline else { throw Failed("waited in vain until \(what)") }
        usleep(5_000)
    }
}
