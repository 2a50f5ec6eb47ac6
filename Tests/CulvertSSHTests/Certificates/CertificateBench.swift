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
    static let signatures = AlgorithmKind.hostKey.known.filter { !$0.contains("-cert-") }
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

    var body: [UInt8] {
        let subject: [[UInt8]] = [type, nonce, key, serial, role, keyID, principals, from, before]
        let rest: [[UInt8]] = [critical, extensions, reserved, authority]
        return (subject + rest).flatMap { $0 }
    }

    var blob: [UInt8] { body + Script.string(signer.sign(body)) }
}
