internal import CulvertPlan
internal import CulvertSSH
internal import Glibc

/// Host certificates (sshd(8), `@cert-authority`): a certificate of an authority that a file names for this host counts in
/// place of its key. Any other counts as the key that is in it, as with ssh.
extension HostKeyCheck {
    enum CertificateJudgement {
        case trusted
        /// The key inside is to be judged; why the certificate does not count, in words that follow "its certificate".
        case plain(why: String)
    }

    /// Throws for what is revoked, and where the plain key would not be taken.
    func judge(_ key: PublicKey, _ certificate: Certificate, _ known: KnownHosts) throws(SSHError)
        -> CertificateJudgement
    {
        let why: String
        switch verdict(certificate, known) {
        case .revoked(let place): throw refusal(key, .revoked(place))
        case .authorityRevoked(let place):
            guard let authority = PublicKey(blob: certificate.authority) else { throw refusal(key, .revoked(place)) }
            throw refusal(key, .authorityRevoked(authority, place))
        case .known(let place):
            guard
                let flaw = certificate.flaw(
                    asHost: certifiedName, at: CertificateClock.now, signatures: server.hostKeys.authoritySignatures)
            else { return .trusted }
            why = "does not count: \(flaw) (its authority is known from \(place))"
            let warning = "The certificate of \(shownHost) \(why)."
            if memory.isNews(warning) { notice(warning) }
        case .unknown:
            let authority = PublicKey(blob: certificate.authority)?.described ?? certificate.authorityType
            why = "is of the authority \(authority), which no file names for this host"
        }
        guard takesPlainKey(of: key.plain) else {
            throw SSHError(
                .hostKey,
                "Host key verification failed: the certificate of \(shownHost) \(why), and HostKeyAlgorithms takes no "
                    + "\(key.plainType) without one.")
        }
        return .plain(why: why)
    }

    /// What a certificate's principals must name (ssh(1)): the host, without its port, or what stands for it.
    private var certifiedName: String { server.hostKeys.alias?.lowercased() ?? server.destination.host.lowercased() }

    private func refusal(_ key: PublicKey, _ refusal: HostKeyPolicy.Refusal) -> SSHError {
        HostKeyRefusal(key: key.plain, server: server).error(refusal, notice: notice)
    }

    private func verdict(_ certificate: Certificate, _ known: KnownHosts) -> KnownHosts.AuthorityVerdict {
        let verdict = known.judge(certificate, name: name)
        guard let portlessName else { return verdict }
        switch (verdict, known.judge(certificate, name: portlessName)) {
        case (.revoked, _), (.authorityRevoked, _): return verdict
        case (_, .revoked(let place)): return .revoked(place)
        case (_, .authorityRevoked(let place)): return .authorityRevoked(place)
        case (.known, _): return verdict
        case (.unknown, let other): return other
        }
    }

    /// Whether a key would be taken without its certificate: HostKeyAlgorithms may say certificates and nothing else.
    private func takesPlainKey(of key: PublicKey) -> Bool {
        let all = NativeAlgorithms.hostKeys
        let offered = (try? server.algorithms.hostKeys?.offer(standard: all, known: all)) ?? all
        return PublicKey.algorithms(ofType: key.type).contains(where: offered.contains)
    }

    /// Why no certificate was judged although an authority is known for the host; nil: there is none.
    func authorityRemark(_ known: KnownHosts) -> String? {
        let place = known.authority(for: name) ?? portlessName.flatMap { known.authority(for: $0) }
        return place.map {
            "the server showed no certificate of the authority in \($0) (the libssh2 engine asks for none)"
        }
    }
}

/// The time by which certificates are judged.
enum CertificateClock {
    /// Seconds since 1970; a clock that stands before that makes every certificate one that is not valid yet.
    static var now: UInt64 {
        let time = time(nil)
        return time > 0 ? UInt64(time) : 0
    }
}
