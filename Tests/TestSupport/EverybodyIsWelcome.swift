import CulvertSSH

/// Trusts every host key and offers no credential: "none" is what gets in.
public final class EverybodyIsWelcome: LoginAuthority {
    public init() {}

    public var userName: String { "anybody" }
    public func knownHostKeyAlgorithms() -> [String] { [] }
    public func verify(hostKey key: [UInt8]) throws(SSHError) {}
    public func nextCredential(methods: [String], partialSuccess: Bool) throws(SSHError) -> Credential? { nil }
    public func refused(reason: String?) {}
    public func answer(_ challenge: Challenge) throws(SSHError) -> [Secret]? { nil }
    public func show(banner: PeerText) {}
}
