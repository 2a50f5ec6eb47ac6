import Foundation
import Testing

@testable import CulvertSSH

/// A directory of its own for one test, gone with the last reference, and the tools that make keys and check signatures.
final class KeyBench: Sendable {
    let path: String

    init() throws {
        var template = Array("/tmp/culvert-keys.XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Failure(what: "mkdtemp: \(errno)") }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
    }

    struct Failure: Error { let what: String }

    func file(_ name: String) -> String { "\(path)/\(name)" }

    func write(_ name: String, _ bytes: [UInt8]) throws {
        try Data(bytes).write(to: URL(fileURLWithPath: file(name)))
    }

    func read(_ name: String) throws -> [UInt8] {
        [UInt8](try Data(contentsOf: URL(fileURLWithPath: file(name))))
    }

    /// Runs a tool to its end, with the file `input` as its input; throws with its words when it fails.
    @discardableResult
    func run(_ tool: String, _ arguments: [String], input: String? = nil) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [tool] + arguments
        process.currentDirectoryURL = URL(fileURLWithPath: path)
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        process.standardInput =
            try input.map { try FileHandle(forReadingFrom: URL(fileURLWithPath: file($0))) }
            ?? FileHandle.nullDevice
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw Failure(what: "\(tool) \(arguments): \(text)") }
        return text
    }

    /// What `ssh-keygen` is asked for.
    struct Kind: Sendable, CustomTestStringConvertible {
        let type: String
        let bits: Int?
        let name: String

        static let ed25519 = Kind(type: "ed25519", bits: nil, name: "ssh-ed25519")
        static let p256 = Kind(type: "ecdsa", bits: 256, name: "ecdsa-sha2-nistp256")
        static let p384 = Kind(type: "ecdsa", bits: 384, name: "ecdsa-sha2-nistp384")
        static let p521 = Kind(type: "ecdsa", bits: 521, name: "ecdsa-sha2-nistp521")
        static let rsa = Kind(type: "rsa", bits: 2048, name: "ssh-rsa")
        static let all = [ed25519, p256, p384, p521, rsa]

        var testDescription: String { name }
    }

    /// A new key pair in `name` and `name.pub`.
    func makeKey(_ kind: Kind, _ name: String = "key", passphrase: String = "", options: [String] = []) throws {
        let bits = kind.bits.map { ["-b", "\($0)"] } ?? []
        let rounds = options.contains("-a") ? [] : ["-a", "1"]
        try run(
            "ssh-keygen",
            ["-q", "-t", kind.type, "-N", passphrase, "-C", "test@bench", "-f", name] + bits + rounds + options)
    }

    func key(_ name: String = "key", passphrase: String? = nil) throws -> PrivateKey {
        try PrivateKey(secret(try read(name)), passphrase: passphrase.map { secret(Array($0.utf8)) })
    }

    /// The blob in `name.pub`.
    func publicKey(_ name: String = "key") throws -> [UInt8] {
        let words = String(decoding: try read("\(name).pub"), as: UTF8.self).split(whereSeparator: \.isWhitespace)
        guard words.count >= 2, let blob = Data(base64Encoded: String(words[1])) else {
            throw Failure(what: "\(name).pub is no public key")
        }
        return [UInt8](blob)
    }

    /// Whether `ssh-keygen` takes the key's signature over a text for that of the public key in `name.pub`
    /// (OpenSSH's PROTOCOL.sshsig).
    func checkSignature(of key: PrivateKey, algorithm: String, _ name: String = "key") throws {
        try write("message", Array("what is signed".utf8))
        let hash = try run("sha512sum", ["-b", "message"]).split(separator: " ")[0]
        let digest = stride(from: 0, to: hash.count, by: 2).map { place in
            UInt8(hash.dropFirst(place).prefix(2), radix: 16) ?? 0
        }
        let context = Script.string("test") + Script.string("") + Script.string("sha512")
        let signed = Array("SSHSIG".utf8) + context + Script.string(digest)
        let signature = try signed.withUnsafeBytes { try key.sign($0, algorithm: algorithm) }
        let blob =
            Array("SSHSIG".utf8) + Script.u32(1) + Script.string(key.publicKey) + context + Script.string(signature)
        let armour = Data(blob).base64EncodedString(options: [.lineLength64Characters, .endLineWithLineFeed])
        try write(
            "message.sig",
            Array("-----BEGIN SSH SIGNATURE-----\n\(armour)\n-----END SSH SIGNATURE-----\n".utf8))
        let line = String(decoding: try read("\(name).pub"), as: UTF8.self)
        try write("signers", Array("me@bench \(line)".utf8))
        let words = try run(
            "ssh-keygen", ["-Y", "verify", "-f", "signers", "-I", "me@bench", "-n", "test", "-s", "message.sig"],
            input: "message")
        guard words.contains("Good \"test\" signature") else { throw Failure(what: words) }
    }
}

func secret(_ bytes: [UInt8]) -> Secret {
    bytes.withUnsafeBytes { Secret(copying: $0) }
}
