internal import CulvertPlan
internal import CulvertSSH

/// A certificate of a user's key, in a file of its own; the private key is elsewhere.
struct UserCertificate: Hashable, Sendable {
    let path: String
    /// As the user named it.
    let shown: String
    let key: PublicKey
    let certificate: Certificate

    /// For messages: `certificate ~/.ssh/id-cert.pub (ED25519-CERT SHA256:…)`.
    var described: String { "certificate \(PeerText(shown)) (\(key.described))" }

    /// Why a file gives none, in words that follow its name.
    enum Unusable: Error {
        case file(LocalFile.Failure)
        case noCertificate
        case hosts

        var why: String {
            switch self {
            case .file(let failure): failure.why
            case .noCertificate: "it is no certificate"
            case .hosts: CertificateFlaw.otherRole(.host).description
            }
        }
    }

    init(path: String, shown: String) throws(Unusable) {
        let contents: [UInt8]
        do throws(LocalFile.Failure) { contents = try LocalFile(path: path).read() } catch { throw .file(error) }
        guard let key = KeyFile.publicLine(contents) else { throw .noCertificate }
        try self.init(path: path, shown: shown, key: key)
    }

    init(path: String, shown: String, key: PublicKey) throws(Unusable) {
        guard let certificate = key.certificate else { throw .noCertificate }
        guard certificate.role == .user else { throw .hosts }
        self.path = path
        self.shown = shown
        self.key = key
        self.certificate = certificate
    }

    /// The identity file that it belongs to by its name, as ssh has it: where that does not show its public key.
    var privatePath: String? {
        for suffix in ["-cert.pub", ".pub"] where path.hasSuffix(suffix) { return String(path.dropLast(suffix.count)) }
        return nil
    }
}

extension Certificate {
    /// Why a server may have refused it from this user, or nil where nothing is to be seen from here.
    func remark(user: String, at now: UInt64) -> String? {
        if let flaw = flaw(asUserAt: now) { return flaw.description }
        if principals.isEmpty { return CertificateFlaw.noPrincipals.description }
        // A server may let other principals in as this user (AuthorizedPrincipalsFile): refused it was all the same.
        return principals.contains(Array(user.utf8))
            ? nil : CertificateFlaw.otherPrincipals(principals, wanted: user).description
    }
}
