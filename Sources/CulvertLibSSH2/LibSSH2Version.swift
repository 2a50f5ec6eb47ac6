internal import CLibSSH2

/// Which libssh2 runs, as far as it decides what may be used: not the one that this was built with.
struct LibSSH2Version: Comparable {
    let major, minor, patch: Int

    /// The first with strict key exchange, the remedy for Terrapin (CVE-2023-48795): without it whoever sits on the path
    /// can cut off the first encrypted packets where one of the ciphers is used that this concerns.
    static let strictKeyExchange = LibSSH2Version(major: 1, minor: 11, patch: 1)

    static var inUse: LibSSH2Version {
        let text = unsafe libssh2_version(0).map { unsafe String(cString: $0) } ?? ""
        return LibSSH2Version(text) ?? LibSSH2Version(major: 0, minor: 0, patch: 0)
    }

    init(major: Int, minor: Int, patch: Int) {
        (self.major, self.minor, self.patch) = (major, minor, patch)
    }

    /// "1.11.1", "1.11.1_DEV"; nil: no version.
    init?(_ text: String) {
        let parts = text.prefix { $0 == "." || $0.isNumber }.split(separator: ".").map { Int($0) }
        guard parts.count >= 2, let major = parts[0], let minor = parts[1] else { return nil }
        self.init(major: major, minor: minor, patch: parts.count > 2 ? parts[2] ?? 0 : 0)
    }

    static func < (left: LibSSH2Version, right: LibSSH2Version) -> Bool {
        (left.major, left.minor, left.patch) < (right.major, right.minor, right.patch)
    }

    var text: String { "\(major).\(minor).\(patch)" }

    /// ChaCha20-Poly1305 and MACs over the ciphertext are what Terrapin breaks.
    func mustNotUse(_ algorithm: String) -> Bool {
        self < Self.strictKeyExchange
            && (algorithm == "chacha20-poly1305@openssh.com" || algorithm.hasSuffix("-etm@openssh.com"))
    }
}
