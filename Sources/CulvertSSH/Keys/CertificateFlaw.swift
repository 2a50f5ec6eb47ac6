internal import CulvertPlan

/// Why a certificate does not count, in words that follow its name.
public enum CertificateFlaw: Hashable, Sendable, CustomStringConvertible {
    case otherRole(Certificate.Role)
    case notYetValid(from: UInt64)
    case expired(at: UInt64)
    case noPrincipals
    case otherPrincipals([[UInt8]], wanted: String)
    case criticalOptions([[UInt8]])
    /// By this algorithm the authority signed, and none such counts.
    case signedBy(String)
    case forged
    /// The authority's key is none that can be used, and why.
    case unusableAuthority(String)

    /// Names that a line has room for.
    private static let mostNames = 3

    public var description: String {
        switch self {
        case .otherRole(.user): "it is a user's certificate, not a host's"
        case .otherRole(.host): "it is a host's certificate, not a user's"
        case .notYetValid(let time): "it is not valid before \(CertificateValidity.words(time))"
        case .expired(let time): "it expired at \(CertificateValidity.words(time))"
        case .noPrincipals: "it names no principal"
        case .otherPrincipals(let names, let wanted): "it is for \(Self.list(names)), not for \(PeerText(wanted))"
        case .criticalOptions(let names): "it has critical options that nothing is known of: \(Self.list(names))"
        case .signedBy(let algorithm): "its authority signed with \(PeerText(algorithm)), which is not taken"
        case .unusableAuthority(let why): "its authority's key cannot be used: \(why)"
        case .forged: "its signature is not its authority's"
        }
    }

    private static func list(_ names: [[UInt8]]) -> String {
        let shown = names.prefix(mostNames).map { PeerText($0).description }.joined(separator: ", ")
        let more = names.count - mostNames
        return more > 0 ? "\(shown) and \(more) more" : shown
    }
}

extension Certificate {
    /// Why it does not speak for this host, or nil when it does: what OpenSSH asks of one whose authority is known, and the
    /// authority's signature. `name` is in lower case and without a port; principals may be patterns. `now`: seconds since
    /// 1970. `signatures`: CASignatureAlgorithms.
    public func flaw(asHost name: String, at now: UInt64, signatures: [String]) -> CertificateFlaw? {
        if role != .host { return .otherRole(.user) }
        if let flaw = flaw(at: now) { return flaw }
        if principals.isEmpty { return .noPrincipals }
        let bytes = Array(name.utf8)
        if !principals.contains(where: { Wildcard.matches(bytes, pattern: $0) }) {
            return .otherPrincipals(principals, wanted: name)
        }
        // None is defined for hosts: each is one that is not known.
        if !criticalOptions.isEmpty { return .criticalOptions(criticalOptions.map(\.name)) }
        guard let algorithm = signatureAlgorithm else { return .forged }
        guard signatures.contains(algorithm) else { return .signedBy(algorithm) }
        return signatureFlaw(algorithm)
    }

    /// Why no server would take it now from a user, or nil. Only the server knows its authorities and whom they may name.
    public func flaw(asUserAt now: UInt64) -> CertificateFlaw? {
        role != .user ? .otherRole(.host) : flaw(at: now)
    }

    private func flaw(at now: UInt64) -> CertificateFlaw? {
        if now < validity.from { return .notYetValid(from: validity.from) }
        return now >= validity.before ? .expired(at: validity.before) : nil
    }

    /// The name in the authority's signature; nil: it has none.
    private var signatureAlgorithm: String? {
        try? signature.read("a certificate's signature") { reader throws(SSHError) in try reader.name() }
    }

    private func signatureFlaw(_ algorithm: String) -> CertificateFlaw? {
        guard let scheme = SignatureScheme(rawValue: algorithm) else { return .signedBy(algorithm) }
        guard authorityType == scheme.keyType else { return .forged }
        let key: HostKey
        do throws(SSHError) { key = try HostKey(blob: authority, scheme: scheme) } catch {
            return .unusableAuthority(error.description)
        }
        do throws(SSHError) { try key.verify(signature: signature, over: Array(blob.prefix(signedCount))) } catch {
            return error.kind == .local ? .unusableAuthority(error.description) : .forged
        }
        return nil
    }
}
