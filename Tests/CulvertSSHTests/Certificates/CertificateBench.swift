import Crypto
import CulvertPlan
import Foundation
import Testing

@testable import CulvertSSH

extension KeyBench {
    /// A certificate that `ssh-keygen` makes of the key in `name.pub`: its blob, which is in `name-cert.pub` too.
    @discardableResult
    func certify(_ name: String, by authority: String = "ca", _ options: [String]) throws -> [UInt8] {
        try run("ssh-keygen", ["-q", "-s", authority, "-I", "the \(name)"] + options + ["\(name).pub"])
        return try publicKey("\(name)-cert")
    }

    /// The names that may be in `server-sig-algs`, and more.
    static let signatures = HostKeyOptions().authoritySignatures
}

/// The parts of a certificate of an Ed25519 key, as a test may lay them out, right or wrong, and sign them.
struct CertificateParts {
    var type = Script.string("ssh-ed25519-cert-v01@openssh.com")
    var nonce = Script.string([UInt8](repeating: 7, count: 32))
    var key = Script.string([UInt8](repeating: 9, count: 32))
    var serial: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 5]
    var role = Script.u32(2)
    var keyID = Script.string("id")
    var principals = Script.string(Script.string("db.example"))
    var from = [UInt8](repeating: 0, count: 8)
    var before = [UInt8](repeating: 255, count: 8)
    var critical = Script.string("")
    var extensions = Script.string("")
    var reserved = Script.string("")
    var authority: [UInt8]

    let signer: TestHostKey

    init(_ signer: TestHostKey) {
        self.signer = signer
        authority = Script.string(signer.blob)
    }

    init(authority: [UInt8]) {
        self.init(TestHostKey())
        self.authority = Script.string(authority)
    }

    var body: [UInt8] {
        let subject: [[UInt8]] = [type, nonce, key, serial, role, keyID, principals, from, before]
        let rest: [[UInt8]] = [critical, extensions, reserved, authority]
        return (subject + rest).flatMap { $0 }
    }

    var blob: [UInt8] { body + Script.string(signer.sign(body)) }
}

/// A hardware key as it would answer (PROTOCOL.u2f), without the hardware.
struct TestDevice {
    let ed25519 = Curve25519.Signing.PrivateKey()
    let p256 = P256.Signing.PrivateKey()
    let isECDSA: Bool
    var type: String { isECDSA ? "sk-ecdsa-sha2-nistp256@openssh.com" : "sk-ssh-ed25519@openssh.com" }

    var blob: [UInt8] {
        let key =
            isECDSA
            ? Script.string("nistp256") + Script.string(Array(p256.publicKey.x963Representation))
            : Script.string(Array(ed25519.publicKey.rawRepresentation))
        return Script.string(type) + key + Script.string("ssh:")
    }

    func sign(_ data: [UInt8], flags: UInt8 = 1) throws -> [UInt8] {
        let tail = [flags] + Script.u32(77)
        let message = Array(SHA256.hash(data: Array("ssh:".utf8))) + tail + Array(SHA256.hash(data: data))
        let value: [UInt8]
        if isECDSA {
            let raw = try p256.signature(for: message).rawRepresentation
            value = [raw.prefix(32), raw.suffix(32)].flatMap { number in
                Array(number).withUnsafeBytes { Script.string(MPInt.content($0)) }
            }
        } else {
            value = Array(try ed25519.signature(for: message))
        }
        return Script.string(type) + Script.string(value) + tail
    }
}
