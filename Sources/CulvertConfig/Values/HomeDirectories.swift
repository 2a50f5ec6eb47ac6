internal import Glibc

/// The home directories of other accounts here: what `~name/` at the beginning of a path stands for.
public enum HomeDirectories: Hashable, Sendable {
    /// The password database's.
    case system
    case listed([String: String])

    /// nil: there is no such account.
    func of(_ name: String) -> String? {
        switch self {
        case .system: Self.entry(name)
        case .listed(let homes): homes[name]
        }
    }

    /// As `tilde_expand` of ssh has it, for a path that begins with `~`: home and the rest behind the slash.
    /// - Parameter own: of `~/` alone.
    func expand(_ path: String, own: String, origin: String) throws(ConfigurationError) -> (
        home: String, rest: Substring
    ) {
        let name = path.dropFirst().prefix { $0 != "/" }
        let rest = path.dropFirst(1 + name.count).drop { $0 == "/" }
        guard !name.isEmpty else { return (own, rest) }
        guard let home = of(String(name)) else {
            throw ConfigurationError("\(origin) \(path): there is no user \(name) here")
        }
        return (home, rest)
    }

    private static func entry(_ name: String) -> String? {
        // An entry is a line; a directory service with a longer one than this is taken for silent.
        var text = [CChar](repeating: 0, count: 65536)
        return unsafe text.withUnsafeMutableBufferPointer { buffer in
            var entry = unsafe passwd()
            var found: UnsafeMutablePointer<passwd>?
            guard let base = buffer.baseAddress,
                unsafe getpwnam_r(name, &entry, base, buffer.count, &found) == 0, unsafe found != nil,
                let home = unsafe entry.pw_dir
            else { return nil }
            return unsafe String(cString: home)
        }
    }
}
