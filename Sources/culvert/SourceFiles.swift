internal import CulvertConfig
internal import Synchronization

/// The files that the plans came from, for when they are read again.
enum SourceFiles {
    /// What cannot be read twice (a pipe, a here-document), by path.
    private static let kept = Mutex<[String: ConfigurationAccess.File]>([:])
    /// Names of hosts that were found (CanonicalizeHostname).
    private static let found = Mutex<Set<String>>([])

    /// The same access, which keeps what cannot be read twice.
    static func keeping(_ access: ConfigurationAccess) -> ConfigurationAccess {
        var keeping = access
        let read = access.read
        keeping.read = { path in
            if let file = kept.withLock({ $0[path] }) { return .success(file) }
            let result = read(path)
            if case .success(let file) = result, !file.isRegular { kept.withLock { $0[path] = file } }
            return result
        }
        let lookUp = access.lookUp
        keeping.lookUp = { name, family in
            let result = lookUp(name, family)
            if case .found = result { found.withLock { _ = $0.insert(name) } }
            return result
        }
        return keeping
    }

    /// For threads that nobody waits for too long: a condition's program has a time to end. A name that was found once and
    /// cannot be found now leaves what was good last.
    static func readAgain(_ access: ConfigurationAccess) -> ConfigurationAccess {
        var again = access
        again.execute = ConfigurationAccess.bounded.execute
        again.isReadAgain = true
        again.tell = { _ in }
        let lookUp = access.lookUp
        again.lookUp = { name, family in
            let result = lookUp(name, family)
            // Who asks another network's server, a VPN being down, is told that there is no such host: that leads nowhere.
            if result == .notFound, found.withLock({ $0.contains(name) }) { return .failed("it is not found any more") }
            return result
        }
        return again
    }
}
