import Crypto
import CulvertPlan
import Foundation
import TestSupport

@testable import CulvertSSH

/// A connection of the native engine that was recorded at a real server: what the engine was shown and told, in order,
/// and what came of each step. With the same seed it is the same again, offline.
///
/// As text, a line each: `name value` for the settings, then `in BASE64` and `do …` for the steps, each followed by
/// what it led to: `event …`, and `out COUNT DIGEST`; at the end `all COUNT DIGEST` of everything the engine said.
struct Transcript {
    struct Settings: Equatable {
        var server = ""
        var method = ""
        var cipher = ""
        var user = ""
        var seed: UInt64 = 0
    }

    enum Step: Equatable {
        /// What the engine says before it has heard anything.
        case start
        case hear([UInt8])
        case open(host: String, port: UInt16)
        case send(count: Int)
        case rekey
        case probe
        case finish
        case close
        case disconnect
    }

    /// What a step led to.
    struct Result: Equatable {
        var events: [String] = []
        /// The bytes that the engine said, in number and as SHA-256, in hexadecimal.
        var count = 0
        var digest = ""

        init() {}
        init(events: [String], said: [UInt8]) {
            self.events = events
            count = said.count
            digest = Transcript.digest(said)
        }
    }

    var settings = Settings()
    var steps: [(step: Step, result: Result)] = []
    var total = Result()

    static func digest(_ bytes: [UInt8]) -> String {
        SHA256.hash(data: bytes).map { String(format: "%02x", $0) }.joined()
    }

    /// What ends when all steps are replayed one byte after the other.
    var events: [String] { steps.flatMap(\.result.events) }

    /// The first line in which the two differ, as it is here.
    func firstDifference(from other: Transcript) -> String? {
        let (own, others) = (text.split(separator: "\n"), other.text.split(separator: "\n"))
        for index in 0..<max(own.count, others.count) {
            let line = index < own.count ? own[index] : "nothing"
            if index >= others.count || line != others[index] { return "\(index + 1): \(line.prefix(80))" }
        }
        return nil
    }

    // MARK: Text

    var text: String {
        var lines = [
            "server \(settings.server)", "method \(settings.method)", "cipher \(settings.cipher)",
            "user \(settings.user)", "seed \(settings.seed)",
        ]
        for (step, result) in steps {
            lines.append(Self.line(step))
            lines += result.events.map { "event \($0)" }
            if result.count > 0 { lines.append("out \(result.count) \(result.digest.prefix(16))") }
        }
        lines.append("all \(total.count) \(total.digest)")
        return lines.joined(separator: "\n") + "\n"
    }

    private static func line(_ step: Step) -> String {
        switch step {
        case .start: "do start"
        case .hear(let bytes): "in \(Data(bytes).base64EncodedString())"
        case .open(let host, let port): "do open \(host) \(port)"
        case .send(let count): "do send \(count)"
        case .rekey: "do rekey"
        case .probe: "do probe"
        case .finish: "do finish"
        case .close: "do close"
        case .disconnect: "do disconnect"
        }
    }

    struct Unreadable: Error { let line: String }

    init() {}

    init(text: String) throws {
        for line in text.split(separator: "\n").map(String.init) {
            let words = line.split(separator: " ", maxSplits: 1).map(String.init)
            guard words.count == 2 else { throw Unreadable(line: line) }
            switch words[0] {
            case "server": settings.server = words[1]
            case "method": settings.method = words[1]
            case "cipher": settings.cipher = words[1]
            case "user": settings.user = words[1]
            case "seed": settings.seed = try UInt64(words[1]) ?? { throw Unreadable(line: line) }()
            case "in":
                guard let bytes = Data(base64Encoded: words[1]) else { throw Unreadable(line: line) }
                steps.append((.hear(Array(bytes)), Result()))
            case "do": steps.append((try Self.step(words[1]), Result()))
            case "event" where !steps.isEmpty: steps[steps.count - 1].result.events.append(words[1])
            case "out" where !steps.isEmpty:
                (steps[steps.count - 1].result.count, steps[steps.count - 1].result.digest) = try Self.said(words[1])
            case "all": (total.count, total.digest) = try Self.said(words[1])
            default: throw Unreadable(line: line)
            }
        }
        guard !total.digest.isEmpty else { throw Unreadable(line: "no last line") }
    }

    private static func said(_ text: String) throws -> (Int, String) {
        let words = text.split(separator: " ").map(String.init)
        guard words.count == 2, let count = Int(words[0]) else { throw Unreadable(line: text) }
        return (count, words[1])
    }

    private static func step(_ text: String) throws -> Step {
        let words = text.split(separator: " ").map(String.init)
        switch (words.first, words.count) {
        case ("open", 3): if let port = UInt16(words[2]) { return .open(host: words[1], port: port) }
        case ("send", 2): if let count = Int(words[1]) { return .send(count: count) }
        case ("start", 1): return .start
        case ("rekey", 1): return .rekey
        case ("probe", 1): return .probe
        case ("finish", 1): return .finish
        case ("close", 1): return .close
        case ("disconnect", 1): return .disconnect
        default: break
        }
        throw Unreadable(line: text)
    }
}

/// Plays the steps of a transcript on an engine with its seed.
final class TranscriptPlayer {
    private let node: NativeNode
    private let channel = ChannelNumber(0)
    private var sent = 0
    /// What comes back is what was sent.
    var received: [UInt8] { node.received }
    private(set) var said: [UInt8] = []
    var isLoggedIn: Bool { node.isLoggedIn }
    var summary: String { node.end.summary }

    /// The key that logs in; it opens nothing but a server that runs for one recording.
    private static let key = CipherNumbers(5).key()

    static var authorizedKey: String {
        let blob = Script.string("ssh-ed25519") + Script.string(Array(key.publicKey.rawRepresentation))
        return "ssh-ed25519 \(Data(blob).base64EncodedString()) transcript"
    }

    init(_ settings: Transcript.Settings) throws {
        var chosen = NativeSettings()
        chosen.keyExchange = AlgorithmList(settings.method)
        chosen.ciphers = AlgorithmList(settings.cipher)
        // Recorded before certificates and hardware keys were offered.
        chosen.hostKeyAlgorithms = AlgorithmList("-*-cert-*,sk-*")
        // So small that the window is granted again within a few packets.
        chosen.connection.initialWindow = 4096
        chosen.connection.maximumPacket = 2048
        node = try NativeNode(chosen, random: .reproducible(seed: settings.seed))
        // RFC 8410 §7.
        let der = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20] + Self.key.rawRepresentation
        var pem = Array(
            "-----BEGIN PRIVATE KEY-----\n\(Data(der).base64EncodedString())\n-----END PRIVATE KEY-----\n".utf8)
        node.authority.userName = settings.user
        node.authority.credentials = [.keyFile(name: "key", contents: Secret(wiping: &pem), passphrase: nil)]
        try node.start()
    }

    /// What the step leads to; bytes are shown all at once or one by one.
    func perform(_ step: Transcript.Step, drips: Bool = false) throws -> Transcript.Result {
        var events: [EngineEvent] = []
        var bytes: [UInt8] = []
        switch step {
        case .start, .hear: break
        case .open, .send, .rekey, .probe, .finish, .close, .disconnect:
            // What is damaged need not come to a login, and nothing of this can be asked for in one.
            guard node.isLoggedIn else { throw Failed("the login is not over") }
        }
        switch step {
        case .start: break
        case .hear(let heard) where drips:
            for byte in heard {
                events += try node.feed([byte])
                bytes += node.takeAllOutput()
            }
        case .hear(let heard): events = try node.feed(heard)
        case .open(let host, let port):
            let number = try node.engine.open(
                .directTCPIP(host: host, port: port, originator: "127.0.0.1", originatorPort: 1))
            guard number == channel else { throw Failed("the first channel has number 0") }
        case .send(let count):
            let payload = (sent..<sent + count).map(Self.payload)
            guard try node.send(channel, payload[...]) == count else { throw Failed("there is no room") }
            sent += count
        case .rekey: node.engine.beginKeyExchange()
        case .probe: node.engine.probe()
        case .finish: node.engine.finish(channel)
        case .close: node.engine.close(channel)
        case .disconnect: node.engine.disconnect()
        }
        bytes += node.takeAllOutput()
        said += bytes
        return Transcript.Result(events: events.map(\.words), said: bytes)
    }

    static func payload(_ index: Int) -> UInt8 { UInt8(truncatingIfNeeded: index &* 131 &+ index >> 7) }

    var total: Transcript.Result { Transcript.Result(events: [], said: said) }
}

extension CipherNumbers {
    fileprivate func key() -> Curve25519.Signing.PrivateKey {
        var numbers = self
        guard let key = try? Curve25519.Signing.PrivateKey(rawRepresentation: numbers.bytes(32)) else {
            preconditionFailure("any 32 bytes are an Ed25519 key")
        }
        return key
    }
}
