import Crypto
import CulvertSSH
import Foundation
import Synchronization
import Testing

@testable import CulvertIdentity

/// What a client signs to log in (RFC 4252 §7).
func loginData(_ key: PublicKey, algorithm: String) -> [UInt8] {
    var writer = WireBytes()
    writer.string([UInt8](repeating: 1, count: 32))
    writer.byte(50)
    writer.string("alice".utf8)
    writer.string("ssh-connection".utf8)
    writer.string("publickey".utf8)
    writer.byte(1)
    writer.string(algorithm.utf8)
    writer.string(key.blob)
    return writer.bytes
}

/// The name and the value of a key or a signature (RFC 4253 §6.6).
private func named(_ blob: [UInt8]) throws -> (name: String, value: [UInt8]) {
    try blob.read("a test's blob") { reader throws(SSHError) in (try reader.name(), try reader.bytes()) }
}

@Suite struct AgentTests {
    @Test func aRealAgentListsAndSigns() throws {
        let workshop = try Workshop()
        let agent = try RealAgent(workshop)
        #expect(try AgentConnection(path: agent.socket).identities().isEmpty)
        try workshop.makeKey("ed")
        try workshop.makeKey("rsa", type: "rsa", options: ["-b", "2048"])
        try agent.add("ed")
        try agent.add("rsa")
        let connection = try AgentConnection(path: agent.socket)
        let keys = try connection.identities()
        let ed = try workshop.publicKey("ed")
        #expect(keys.map(\.key) == [ed, try workshop.publicKey("rsa")])
        #expect(keys.map { String(decoding: $0.comment, as: UTF8.self) } == ["made for ed", "made for rsa"])

        let data = loginData(ed, algorithm: "ssh-ed25519")
        let signature = try named(try connection.sign(data, with: ed))
        #expect(signature.name == "ssh-ed25519")
        let verifier = try Curve25519.Signing.PublicKey(rawRepresentation: try named(ed.blob).value)
        #expect(verifier.isValidSignature(signature.value, for: data))

        for algorithm in ["rsa-sha2-256", "rsa-sha2-512", "ssh-rsa"] {
            let data = loginData(keys[1].key, algorithm: algorithm)
            #expect(try named(try connection.sign(data, with: keys[1].key)).name == algorithm)
        }
    }

    @Test func onlyALoginIsSigned() throws {
        let workshop = try Workshop()
        let agent = try RealAgent(workshop)
        try workshop.makeKey("ed")
        try agent.add("ed")
        let key = try workshop.publicKey("ed")
        let connection = try AgentConnection(path: agent.socket)
        let data = loginData(key, algorithm: "ssh-ed25519")
        for bad in [[], Array(data.dropLast()), data + [0], Array(data.dropFirst(4))] {
            #expect(throws: SSHError.self) { try connection.sign(bad, with: key) }
        }
        try workshop.run("ssh-add", ["-q", "-D"], environment: ["SSH_AUTH_SOCK": agent.socket])
        let error = #expect(throws: SSHError.self) { try connection.sign(data, with: key) }
        #expect(error?.description.contains("refused to sign") == true)
    }

    @Test func aSessionIsBoundWithTheHostKeysSignature() throws {
        let workshop = try Workshop()
        let agent = try RealAgent(workshop)
        try workshop.makeKey("host")
        try agent.add("host")
        let key = try workshop.publicKey("host")
        let connection = try AgentConnection(path: agent.socket)
        let sessionID = [UInt8](repeating: 3, count: 32)
        var signature = try workshop.signature(of: sessionID, with: "host")
        #expect(try connection.bind(hostKey: key.blob, sessionID: sessionID, signature: signature, forwarding: false))
        signature[signature.count - 1] ^= 1
        let other = try AgentConnection(path: agent.socket)
        #expect(try !other.bind(hostKey: key.blob, sessionID: sessionID, signature: signature, forwarding: false))
    }

    struct Bad: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let answer: [UInt8]
        var hangsUp = true
        let words: String
    }

    static let bad = [
        Bad(testDescription: "huge length", answer: [0xff, 0xff, 0xff, 0xff, 12], words: "impossible length"),
        Bad(testDescription: "just too long", answer: [0, 4, 0, 1, 12], words: "impossible length"),
        Bad(testDescription: "empty frame", answer: [0, 0, 0, 0], words: "impossible length"),
        Bad(testDescription: "truncated header", answer: [0, 0], words: "hung up"),
        Bad(testDescription: "truncated body", answer: [0, 0, 0, 9, 12, 0], words: "hung up"),
        Bad(testDescription: "nothing", answer: [], words: "hung up"),
        Bad(testDescription: "wrong type", answer: [0, 0, 0, 5, 14, 0, 0, 0, 0], words: "something else"),
        Bad(testDescription: "failure", answer: [0, 0, 0, 1, 5], words: "something else"),
        Bad(testDescription: "false count", answer: [0, 0, 0, 5, 12, 0xff, 0xff, 0xff, 0xff], words: "something else"),
        Bad(
            testDescription: "string beyond the end",
            answer: [0, 0, 0, 13, 12, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xf0, 1, 2, 3, 4], words: "something else"),
        Bad(testDescription: "bytes left over", answer: [0, 0, 0, 6, 12, 0, 0, 0, 0, 7], words: "something else"),
        Bad(testDescription: "silence", answer: [], hangsUp: false, words: "in time"),
        Bad(testDescription: "half an answer", answer: [0, 0, 0, 9, 12], hangsUp: false, words: "in time"),
    ]

    @Test(arguments: bad)
    func aBadAgentIsAnErrorInWords(bad: Bad) throws {
        let workshop = try Workshop()
        let fake = try FakeAgent(workshop.file("agent"), answer: bad.answer, hangsUp: bad.hangsUp)
        defer { fake.stop() }
        let connection = try AgentConnection(path: fake.path, limits: .init(list: 1, sign: 1))
        let error = #expect(throws: SSHError.self) { try connection.identities() }
        #expect(error?.kind == .local)
        #expect(error?.description.contains(bad.words) == true, "\(String(describing: error))")
    }

    /// An agent that waits for its owner: told once, and waited for.
    @Test func aSlowAgentIsToldAndWaitedFor() throws {
        let workshop = try Workshop()
        let list: [UInt8] = [0, 0, 0, 5, 12, 0, 0, 0, 0]
        let fake = try FakeAgent(workshop.file("agent"), answer: list, hangsUp: true, after: 1_500_000)
        defer { fake.stop() }
        let told = Mutex<[String]>([])
        let limits = AgentConnection.Limits(list: 30, sign: 30, silence: 1)
        let connection = try AgentConnection(path: fake.path, limits: limits) { line in
            told.withLock { $0.append(line) }
        }
        #expect(try connection.identities().isEmpty)
        let lines = told.withLock { $0 }
        #expect(lines.count == 1)
        #expect(lines.first?.hasPrefix("agent \(fake.path) has not answered for 1 s: it may wait for you") == true)
        // As long as somebody needs to find a passphrase.
        #expect(AgentConnection.Limits().list == 60 && AgentConnection.Limits().silence == 3)
        // A quick one is not told of.
        let quick = try FakeAgent(workshop.file("quick"), answer: list, hangsUp: true)
        defer { quick.stop() }
        let other = try AgentConnection(path: quick.path, limits: limits) { _ in Issue.record("it was quick") }
        #expect(try other.identities().isEmpty)
    }

    @Test func noAgentIsAnErrorInWords() throws {
        let workshop = try Workshop()
        let missing = #expect(throws: SSHError.self) { try AgentConnection(path: workshop.file("none")) }
        #expect(missing?.description.contains("No such file") == true)
        let long = #expect(throws: SSHError.self) {
            try AgentConnection(path: "/" + String(repeating: "x", count: 200))
        }
        #expect(long?.description.contains("too long") == true)
    }

    @Test func aSignatureMustBeOfTheAlgorithmAskedFor() {
        func response(_ name: String, _ value: [UInt8]) -> [UInt8] {
            var blob = WireBytes()
            blob.string(name.utf8)
            blob.string(value)
            var payload = WireBytes()
            payload.byte(14)
            payload.string(blob.bytes)
            return payload.bytes
        }
        let good = response("rsa-sha2-512", [1, 2])
        #expect(AgentMessages.signature(good, algorithm: "rsa-sha2-512") == .blob(Array(good.dropFirst(5))))
        #expect(AgentMessages.signature(good, algorithm: "rsa-sha2-256") == .otherAlgorithm("rsa-sha2-512"))
        #expect(AgentMessages.signature(response("a", []), algorithm: "a") == .malformed)
        #expect(AgentMessages.signature(good + [0], algorithm: "rsa-sha2-512") == .malformed)
        #expect(AgentMessages.signature([5], algorithm: "a") == .malformed)
        for count in good.indices {
            #expect(AgentMessages.signature(Array(good[..<count]), algorithm: "rsa-sha2-512") == .malformed)
        }
    }

    @Test(arguments: [
        ("ssh-ed25519", "ssh-ed25519"), ("ssh-ed25519-cert-v01@openssh.com", "ssh-ed25519"),
        ("rsa-sha2-512-cert-v01@openssh.com", "rsa-sha2-512"),
        ("sk-ssh-ed25519-cert-v01@openssh.com", "sk-ssh-ed25519@openssh.com"),
        ("sk-ssh-ed25519@openssh.com", "sk-ssh-ed25519@openssh.com"),
    ])
    func aCertificatesSignatureIsNamedAfterTheKeyInside(name: String, plain: String) {
        #expect(SignatureAlgorithm.signatureName(name) == plain)
    }

    @Test func mutatedAnswersDoNoHarm() throws {
        let workshop = try Workshop()
        try workshop.makeKey("ed")
        var writer = WireBytes()
        writer.byte(12)
        writer.uint32(2)
        for _ in 0..<2 {
            writer.string(try workshop.publicKey("ed").blob)
            writer.string("comment".utf8)
        }
        var generator = SeededGenerator(state: 5)
        #expect(AgentMessages.identities(writer.bytes)?.count == 2)
        var refused = 0
        for _ in 0..<3_000 where AgentMessages.identities(mutated(writer.bytes, &generator)) == nil { refused += 1 }
        #expect(refused > 100)
    }
}

extension Workshop {
    /// An Ed25519 signature blob over any bytes, made with the unencrypted key of an openssh-key-v1 file.
    func signature(of data: [UInt8], with name: String) throws -> [UInt8] {
        let lines = try read(name).split(separator: "\n").filter { !$0.hasPrefix("-") }
        guard let decoded = Base64.decode(Array(lines.joined().utf8)) else { throw Failure(what: "base64 of \(name)") }
        let blob = try publicKey(name).blob
        // PROTOCOL.key: the secret is a string of 64 bytes, seed and public key, after the second public key.
        let point = Array(blob.suffix(32))
        let places = decoded.indices.filter { decoded[$0...].starts(with: point) }
        guard places.count == 3 else { throw Failure(what: "\(name) is not laid out as expected") }
        let seed = decoded[(places[2] - 32)..<places[2]]
        let key = try Curve25519.Signing.PrivateKey(rawRepresentation: seed)
        var writer = WireBytes()
        writer.string("ssh-ed25519".utf8)
        writer.string(try key.signature(for: data))
        return writer.bytes
    }
}

/// An agent that answers the first request with given bytes, then hangs up or falls silent.
final class FakeAgent: Sendable {
    let path: String
    private let listener: CInt

    /// - Parameter delay: before it answers, microseconds.
    init(_ path: String, answer: [UInt8], hangsUp: Bool, after delay: UInt32 = 0) throws {
        self.path = path
        let listener = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0)
        self.listener = listener
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        let bound = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard listener >= 0, bound == 0, listen(listener, 1) == 0 else {
            throw Workshop.Failure(what: "fake agent: \(errno)")
        }
        Thread.detachNewThread {
            let client = accept(listener, nil, nil)
            guard client >= 0 else { return }
            var request = [UInt8](repeating: 0, count: 1024)
            _ = recv(client, &request, request.count, 0)
            usleep(delay)
            _ = send(client, answer, answer.count, CInt(MSG_NOSIGNAL))
            // Silence lasts until the client goes.
            if !hangsUp { _ = recv(client, &request, request.count, 0) }
            // A child of another test may have inherited the descriptor: closing it alone would not hang up.
            shutdown(client, CInt(SHUT_RDWR))
            close(client)
        }
    }

    func stop() {
        shutdown(listener, CInt(SHUT_RDWR))
        close(listener)
    }
}
