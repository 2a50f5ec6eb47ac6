import Foundation

/// The program under test: `CULVERT` names it, otherwise it is the one built beside the tests.
///
/// With `CULVERT=/usr/bin/ssh` what ssh can do too is run against ssh: that shows that a test asks for behaviour, and
/// not for what we assume of it.
enum Subject {
    static let path: String = {
        if let named = ProcessInfo.processInfo.environment["CULVERT"], !named.isEmpty { return named }
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlink("/proc/self/exe", &buffer, buffer.count - 1)
        let own = count > 0 ? text(buffer) : ""
        return (own as NSString).deletingLastPathComponent + "/culvert"
    }()

    static let isCulvert = (path as NSString).lastPathComponent != "ssh"

    /// `CULVERT_ENGINE` names the engine that every tunnel of a run uses; otherwise it is the default one.
    static let engine = ProcessInfo.processInfo.environment["CULVERT_ENGINE"].flatMap { $0.isEmpty ? nil : $0 }

    static func command(_ arguments: [String]) -> [String] {
        guard isCulvert else { return [path, "-F", "none", "-N"] + arguments }
        if arguments.first == "relay" { return [path] + arguments }
        // The configuration files of the person who runs the tests can neither help nor hinder.
        return [path, "-F", "none"] + (engine.map { ["--engine", $0] } ?? []) + arguments
    }
}

/// The I/O drivers that can be asked for by name.
enum Driver: String, CaseIterable, CustomStringConvertible {
    case uring
    case epoll

    var arguments: [String] { Subject.isCulvert ? ["--io", rawValue] : [] }
    var description: String { rawValue }

    /// One driver stands for both where the subject knows no drivers.
    static var choices: [Driver] { Subject.isCulvert ? allCases : [.epoll] }
}

/// A running tunnel: the subject, logged in to a server with the throw-away key.
final class Tunnel {
    let process: Child
    let server: SSHServer

    /// The options of a login that succeeds.
    static func login(_ server: SSHServer, key: String = "login", knownHosts: String? = nil) throws -> [String] {
        login(port: server.port, key: server.keys.path(key), knownHosts: try knownHosts ?? server.knownHosts())
    }

    static func login(port: UInt16, key: String, knownHosts: String) -> [String] {
        [
            "-p", "\(port)", "-i", key, "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
            "-o", "StrictHostKeyChecking=yes", "-o", "UserKnownHostsFile=\(knownHosts)",
        ]
    }

    init(
        to server: SSHServer, _ arguments: [String], key: String = "login", knownHosts: String? = nil,
        environment: [String: String] = [:], launcher: [String] = []
    ) throws {
        self.server = server
        let words =
            launcher
            + Subject.command(
                arguments + (try Self.login(server, key: key, knownHosts: knownHosts))
                    + ["\(SSHServer.user)@\(server.host)"])
        process = try server.stage.start("culvert", words, environment: Self.environment(server.stage, environment))
    }

    /// No agent and no home of the person who runs the tests can help or hinder.
    static func environment(_ stage: Stage, _ more: [String: String] = [:]) -> [String: String] {
        ["SSH_AUTH_SOCK": "", "HOME": stage.directory, "CULVERT_HOME": stage.directory, "NOTIFY_SOCKET": ""].merging(
            more
        ) { $1 }
    }

    /// Waits until something listens on `port`, at either end: both ends of every tunnel are on this machine.
    @discardableResult
    func waitForListener(_ port: UInt16, within deadline: Double = 15) throws -> [String] {
        try eventually("somebody listens on \(port)", within: deadline) {
            let found = ProcFS.listeners(port: port)
            guard found.isEmpty else { return found }
            guard process.isRunning else { throw Failure("the tunnel ended: \(process.ending!)") }
            return nil
        }
    }

    /// Waits until the link stands: until then a local listener may be open already and hold its connections.
    func waitForLink(_ count: Int = 1, within deadline: Double = 15) throws {
        try waitUntil("\(count) links are logged in", within: deadline) {
            guard process.isRunning else { throw Failure("the tunnel ended: \(process.ending!)") }
            return server.log.components(separatedBy: "Accepted publickey").count > count
        }
    }

    var pid: pid_t { process.pid }
}
