import Crypto
import Foundation

@testable import CulvertSSH

/// A server in memory that can say anything at any time: curve25519-sha256, ssh-ed25519, aes256-ctr, hmac-sha2-256. What a
/// login asks for it answers by itself, as far as it is not told otherwise.
final class ScriptedServer {
    /// One direction's keys (RFC 4253 §7.2).
    struct Keys {
        let key: [UInt8]
        var counter: [UInt8]
        let mac: SymmetricKey

        /// AES-256-CTR, whole blocks; the stream goes on where it was.
        mutating func crypt(_ bytes: [UInt8]) -> [UInt8] {
            var both = key + counter
            let keys = Secret(wiping: &both)
            let nothing = UnsafeRawBufferPointer(start: nil, count: 0)
            let done = bytes.withUnsafeBytes {
                KeyFileCipher("aes256-ctr")!.open($0, tag: nothing, keys: keys)!.withBytes { [UInt8]($0) }
            }
            var carry = bytes.count / 16
            for place in counter.indices.reversed() where carry > 0 {
                carry += Int(counter[place])
                counter[place] = UInt8(carry & 255)
                carry >>= 8
            }
            return done
        }

        func tag(_ sequence: UInt32, _ packet: [UInt8]) -> [UInt8] {
            Array(HMAC<SHA256>.authenticationCode(for: ScriptedServer.u32(Int(sequence)) + packet, using: mac))
        }
    }

    static let version = "SSH-2.0-Scripted_1.0"

    /// What is shown in the next key exchange.
    var hostKey = Curve25519.Signing.PrivateKey()
    /// Takes the place of the blob of the host key.
    var hostKeyBlob: [UInt8]?
    /// Whether it goes on with a key exchange when the client has sent its part, and whether it ends it.
    var answersPart = true
    var sendsNewKeys = true
    /// Whether it answers the requests of a login.
    var answersLogin = true
    /// Its next packet gets a MAC that is none.
    var spoilsNextMAC = false

    private(set) var output: [UInt8] = []
    /// Messages of the client, in order.
    private(set) var heard: [[UInt8]] = []

    private var input: [UInt8] = []
    private var clientVersion: [UInt8]?
    private var ownInit: [UInt8] = []
    private var clientInit: [UInt8] = []
    private var sessionID: [UInt8]?
    private var next: (sending: Keys, receiving: Keys)?
    private var sending: Keys?
    private var receiving: Keys?
    private var sent: UInt32 = 0
    private var received: UInt32 = 0

    init(greets: Bool = true) {
        guard greets else { return }
        output = Array("\(Self.version)\r\n".utf8)
        beginExchange()
    }

    // MARK: Saying

    func takeOutput() -> [UInt8] {
        defer { output = [] }
        return output
    }

    func say(raw bytes: [UInt8]) { output += bytes }

    func say(_ message: [UInt8]) {
        let block = sending == nil ? 8 : 16
        var padding = block - (5 + message.count) % block
        if padding < 4 { padding += block }
        let packet =
            Self.u32(1 + message.count + padding) + [UInt8(padding)] + message + [UInt8](repeating: 0, count: padding)
        if var keys = sending {
            var tag = keys.tag(sent, packet)
            if spoilsNextMAC { tag[3] ^= 1 }
            spoilsNextMAC = false
            output += keys.crypt(packet) + tag
            sending = keys
        } else {
            output += packet
        }
        sent &+= 1
    }

    func beginExchange() {
        let lists = [
            "curve25519-sha256", "ssh-ed25519", "aes256-ctr", "aes256-ctr", "hmac-sha2-256", "hmac-sha2-256", "none",
            "none", "", "",
        ]
        ownInit =
            [20] + [UInt8](repeating: 9, count: 16) + lists.flatMap { Self.string(Array($0.utf8)) } + [0, 0, 0, 0, 0]
        say(ownInit)
    }

    func sayNewKeys() {
        guard let next else { preconditionFailure("new keys come after a key exchange") }
        say([21])
        sending = next.sending
    }

    // MARK: Hearing

    func hear(_ bytes: [UInt8]) {
        input += bytes
        if clientVersion == nil, let end = input.firstIndex(of: 10) {
            clientVersion = input[..<end].filter { $0 != 13 }
            input.removeFirst(end + 1)
        }
        guard clientVersion != nil else { return }
        while let message = nextMessage() {
            heard.append(message)
            react(message)
        }
    }

    private func nextMessage() -> [UInt8]? {
        guard input.count >= 16 else { return nil }
        guard let current = receiving else {
            let length = Self.number(input, 0)
            guard input.count >= 4 + length else { return nil }
            defer { input.removeFirst(4 + length) }
            received &+= 1
            return Array(input[5..<(4 + length - Int(input[4]))])
        }
        var keys = current
        let first = keys.crypt(Array(input[..<16]))
        let length = Self.number(first, 0)
        guard input.count >= 4 + length + 32 else { return nil }
        let packet = first + (length > 12 ? keys.crypt(Array(input[16..<(4 + length)])) : [])
        precondition(
            Array(input[(4 + length)..<(36 + length)]) == keys.tag(received, packet), "the client's MAC is right")
        input.removeFirst(36 + length)
        receiving = keys
        received &+= 1
        return Array(packet[5..<(4 + length - Int(packet[4]))])
    }

    private func react(_ message: [UInt8]) {
        switch message[0] {
        case 20: clientInit = message
        case 21: receiving = next?.receiving
        case 30 where answersPart: answerPart(message)
        case 5 where answersLogin: say([6] + Self.string(Array("ssh-userauth".utf8)))
        case 50 where answersLogin: say([52])
        case 90 where message.starts(with: [90] + Self.string("keepalive@culvert.invalid")):
            let sender = message[30..<34]
            say([92] + sender + Self.u32(3) + Self.string("") + Self.string(""))
        default: break
        }
    }

    /// Goes on with an exchange that `answersPart` held up.
    func hearPartAgain() {
        guard let part = heard.last(where: { $0[0] == 30 }) else { preconditionFailure("the client's part has come") }
        answerPart(part)
    }

    private func answerPart(_ message: [UInt8]) {
        let clientPart = Array(message[5...])
        let own = Curve25519.KeyAgreement.PrivateKey()
        let part = [UInt8](own.publicKey.rawRepresentation)
        let agreed = try! own.sharedSecretFromKeyAgreement(
            with: Curve25519.KeyAgreement.PublicKey(rawRepresentation: clientPart))
        let secret = Self.mpint(agreed.withUnsafeBytes { [UInt8]($0) })
        let honest =
            Self.string(Array("ssh-ed25519".utf8)) + Self.string([UInt8](hostKey.publicKey.rawRepresentation))
        let blob = Self.string(honest)
        let hash = Array(
            SHA256.hash(
                data: Self.string(clientVersion!) + Self.string(Array(Self.version.utf8)) + Self.string(clientInit)
                    + Self.string(ownInit) + blob + Self.string(clientPart) + Self.string(part) + secret))
        let identifier = sessionID ?? hash
        sessionID = identifier
        func derived(_ letter: Character) -> [UInt8] {
            Array(SHA256.hash(data: secret + hash + [letter.asciiValue!] + identifier))
        }
        next = (
            Keys(key: derived("D"), counter: Array(derived("B")[..<16]), mac: SymmetricKey(data: derived("F"))),
            Keys(key: derived("C"), counter: Array(derived("A")[..<16]), mac: SymmetricKey(data: derived("E")))
        )
        let signature = Self.string(Array("ssh-ed25519".utf8)) + Self.string([UInt8](try! hostKey.signature(for: hash)))
        say([31] + (hostKeyBlob ?? blob) + Self.string(part) + Self.string(signature))
        if sendsNewKeys { sayNewKeys() }
    }

    // MARK: The wire

    static func u32(_ value: Int) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * $0)) } }
    static func string(_ bytes: [UInt8]) -> [UInt8] { u32(bytes.count) + bytes }
    static func string(_ text: String) -> [UInt8] { string(Array(text.utf8)) }
    static func number(_ bytes: [UInt8], _ offset: Int) -> Int {
        bytes[offset..<(offset + 4)].reduce(0) { $0 << 8 | Int($1) }
    }
    private static func mpint(_ bytes: [UInt8]) -> [UInt8] {
        let short = Array(bytes.drop { $0 == 0 })
        return string((short.first ?? 0) & 0x80 != 0 ? [0] + short : short)
    }
}
