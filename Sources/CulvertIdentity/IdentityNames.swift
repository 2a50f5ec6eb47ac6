internal import CulvertPlan

/// What a login makes of the names and paths of its plan.
extension ServerPlan {
    /// The three types that every engine here can sign with; Ed25519 first, because it costs a server least.
    static let defaultIdentityFiles = ["~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa"]

    /// Behind them, since each asks for a touch.
    static let defaultHardwareFiles = ["~/.ssh/id_ed25519_sk", "~/.ssh/id_ecdsa_sk"]

    /// The path with `~/` written out; nil for `none`.
    func resolved(_ path: String) -> String? {
        if path.lowercased() == "none" { return nil }
        return path.hasPrefix("~/") ? home + path.dropFirst(1) : path
    }

    /// Those of these that are files.
    func paths(of files: [String]) -> [String] { files.compactMap { resolved($0) } }

    /// The name to look up in known_hosts (sshd(8)): lower case, `[host]:port` unless the port is 22. An alias stands
    /// for host and port together.
    var knownHostName: String {
        if let alias = hostKeys.alias { return alias.lowercased() }
        let host = destination.host.lowercased()
        return destination.port == 22 ? host : "[\(host)]:\(destination.port)"
    }

    /// One login's place in the memory.
    var memoryKey: String { "\(destination.user)@[\(destination.host.lowercased())]:\(destination.port)" }
}
