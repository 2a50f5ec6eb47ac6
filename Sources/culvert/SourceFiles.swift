internal import CulvertConfig
internal import Synchronization

/// The files that the plans came from, for when they are read again.
enum SourceFiles {
    /// What cannot be read twice (a pipe, a here-document), by path.
    private static let kept = Mutex<[String: ConfigurationAccess.File]>([:])

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
        return keeping
    }

    /// For threads that nobody waits for too long: a condition's program has a time to end.
    static func readAgain(_ access: ConfigurationAccess) -> ConfigurationAccess {
        var again = access
        again.execute = ConfigurationAccess.bounded.execute
        return again
    }
}
