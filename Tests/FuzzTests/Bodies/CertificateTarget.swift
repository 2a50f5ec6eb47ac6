import CulvertSSH

@testable import CulvertIdentity

extension FuzzTarget {
    private static func certificate(_ role: Int, principals: [UInt8], critical: [UInt8] = []) -> [UInt8] {
        let subject =
            Wire.string("ssh-ed25519-cert-v01@openssh.com") + Wire.string("nonce")
            + Wire.string([UInt8](repeating: 9, count: 32)) + [0, 0, 0, 0, 0, 0, 0, 1] + Wire.uint32(role)
        let terms =
            Wire.string("id") + Wire.string(principals) + [UInt8](repeating: 0, count: 8)
            + [UInt8](repeating: 255, count: 8) + Wire.string(critical) + Wire.string("") + Wire.string("")
        let body = subject + terms + Wire.string(FuzzKeys.ed25519Blob)
        return body + Wire.string(FuzzKeys.sign(body))
    }

    /// Certificates of hosts and users (PROTOCOL.certkeys), as a server and an agent show them.
    static let certificates = FuzzTarget(
        "Certificates", maximumLength: 1500,
        seeds: {
            [
                certificate(2, principals: Wire.string("host")), certificate(2, principals: Wire.string("*")),
                certificate(1, principals: Wire.string("alice") + Wire.string("bob")), certificate(2, principals: []),
                certificate(
                    2, principals: Wire.string("host"), critical: Wire.string("source-address") + Wire.string("x")),
            ]
        }
    ) { bytes in
        guard let certificate = try? Certificate(blob: bytes) else {
            promise(PublicKey(blob: bytes)?.isCertificate != true, "what is no certificate is no key of one")
            return
        }
        promise(PublicKey(blob: bytes)?.plain.blob == certificate.plainKey, "a key is the one inside")
        promise(PublicKey(blob: certificate.plainKey)?.isCertificate == false, "what is inside is a plain key")
        promise(PublicKey(blob: certificate.authority)?.isCertificate == false, "an authority has a plain key")
        promise(isOneSafeLine(PublicKey(blob: bytes)?.described ?? ""), "a key is safe to show")
        let signatures = ["ssh-ed25519", "rsa-sha2-512", "ecdsa-sha2-nistp256"]
        if let flaw = certificate.flaw(asHost: "host", at: 1_800_000_000, signatures: signatures) {
            promise(isOneSafeLine(flaw.description), "a flaw is told in a line")
        } else {
            promise(certificate.role == .host && certificate.criticalOptions.isEmpty, "a host's certificate")
            promise(certificate.authority == FuzzKeys.ed25519Blob, "nobody else has signed anything")
        }
        if let remark = certificate.remark(user: "alice", at: 1_800_000_000) {
            promise(isOneSafeLine(remark), "a remark is a line")
        }
    }
}
