import CulvertPlan
import CulvertSSH
import Foundation
import Synchronization

@testable import CulvertIdentity

/// A directory of its own for one test, gone with the last reference, and the real tools run in it.
final class Workshop: Sendable {
    let path: String

    init() throws {
        var template = Array("/tmp/culvert-identity.XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Failure(what: "mkdtemp: \(errno)") }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
    }

    struct Failure: Error { let what: String }

    func file(_ name: String) -> String { "\(path)/\(name)" }

    @discardableResult
    func write(_ name: String, _ text: String, mode: Int = 0o600) throws -> String {
        try Data(text.utf8).write(to: URL(fileURLWithPath: file(name)))
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: file(name))
        return file(name)
    }

    func read(_ name: String) throws -> String {
        try String(contentsOfFile: file(name), encoding: .utf8)
    }

    /// Runs a tool to its end; throws with its words when it fails.
    @discardableResult
    func run(_ tool: String, _ arguments: [String], environment: [String: String] = [:]) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [tool] + arguments
        process.currentDirectoryURL = URL(fileURLWithPath: path)
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        process.standardInput = FileHandle.nullDevice
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw Failure(what: "\(tool) \(arguments): \(text)") }
        return text
    }

    /// A new key pair; its path.
    @discardableResult
    func makeKey(
        _ name: String, type: String = "ed25519", passphrase: String = "", options: [String] = []
    ) throws -> String {
        try run(
            "ssh-keygen", ["-q", "-t", type, "-N", passphrase, "-C", "made for \(name)", "-f", name] + options)
        return file(name)
    }

    func publicKey(_ name: String) throws -> PublicKey {
        guard let key = KeyFile.publicLine(Array(try read("\(name).pub").utf8)) else {
            throw Failure(what: "\(name).pub is no public key")
        }
        return key
    }

    /// `type base64`, as known_hosts wants it.
    func publicLine(_ name: String) throws -> String {
        try read("\(name).pub").split(separator: " ").prefix(2).joined(separator: " ")
    }

    func settings(port: UInt16 = 22) -> ServerPlan {
        let destination = Destination(host: "db.example", typedHost: "db.example", port: port, user: "alice")
        var settings = ServerPlan(destination: destination, home: path)
        settings.hostKeys.userKnownHostsFiles = [file("known_hosts")]
        settings.hostKeys.globalKnownHostsFiles = []
        settings.login.identityFiles = .listed([])
        return settings
    }
}

/// A real ssh-agent, ended with the last reference.
final class RealAgent: @unchecked Sendable {
    let socket: String
    private let process = Process()
    private let workshop: Workshop

    init(_ workshop: Workshop, name: String = "agent") throws {
        self.workshop = workshop
        socket = workshop.file(name)
        process.executableURL = URL(fileURLWithPath: "/usr/bin/ssh-agent")
        process.arguments = ["-D", "-a", socket]
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        try waitUntil("the agent listens") { (try? AgentConnection(path: socket)) != nil }
    }

    deinit {
        // Started from a thread that blocks SIGTERM, the agent has it blocked too.
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }

    func add(_ name: String) throws {
        try workshop.run("ssh-add", ["-q", name], environment: ["SSH_AUTH_SOCK": socket])
    }
}

/// Ten seconds at most, for a condition that comes true by itself.
func waitUntil(_ what: String, _ condition: () throws -> Bool) throws {
    let end = Date().addingTimeInterval(10)
    while try !condition() {
        guard Date() < end else { throw Workshop.Failure(what: "waited in vain until \(what)") }
        usleep(2_000)
    }
}

/// Answers from a list, and remembers what was asked.
final class ScriptedPrompter: Prompter {
    private let state: Mutex<(answers: [String?], asked: [String], echoes: [Bool])>

    init(_ answers: [String?] = []) {
        state = Mutex((answers, [], []))
    }

    var asked: [String] { state.withLock { $0.asked } }
    var echoes: [Bool] { state.withLock { $0.echoes } }

    func ask(_ question: String, echo: Bool, seconds: Int) throws(SSHError) -> Secret? {
        let answer: String? = state.withLock { state in
            state.asked.append(question)
            state.echoes.append(echo)
            return state.answers.isEmpty ? nil : state.answers.removeFirst()
        }
        return answer.map(secret)
    }
}

final class Notices: Sendable {
    private let state = Mutex<[String]>([])
    var lines: [String] { state.withLock { $0 } }
    var text: String { lines.joined(separator: "\n") }
    func add(_ line: String) { state.withLock { $0.append(line) } }
}

func secret(_ text: String) -> Secret {
    var bytes = Array(text.utf8)
    return Secret(wiping: &bytes)
}

func text(_ secret: Secret?) -> String? {
    secret.map { secret in secret.withBytes { String(decoding: $0, as: UTF8.self) } }
}

/// The same numbers for the same seed, so that a failure can be repeated.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}

/// A copy with a few bytes changed, taken out, put in or cut off.
func mutated(_ bytes: [UInt8], _ generator: inout SeededGenerator) -> [UInt8] {
    var bytes = bytes
    for _ in 0..<Int.random(in: 1...4, using: &generator) where !bytes.isEmpty {
        let index = Int.random(in: bytes.indices, using: &generator)
        switch Int.random(in: 0..<5, using: &generator) {
        case 0: bytes[index] = .random(in: .min ... .max, using: &generator)
        case 1: bytes.remove(at: index)
        case 2: bytes.insert(.random(in: .min ... .max, using: &generator), at: index)
        case 3: bytes[index] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
        default: bytes.removeLast(bytes.count - index)
        }
    }
    return bytes
}
