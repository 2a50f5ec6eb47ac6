internal import CulvertConfig
internal import CulvertIO

/// A directory for control sockets, each named by its process: ours, and closed to others.
struct ControlPlace: Hashable {
    struct Failure: Error {
        let reason: String
    }

    let directory: String

    /// Where this process's socket belongs: the directory that a service manager has made for it, the user's own, or
    /// root's.
    static func own(_ environment: ConfigurationEnvironment) throws(Failure) -> ControlPlace {
        // systemd gives several with colons between them (systemd.exec(5)).
        if let given = environment.variables["RUNTIME_DIRECTORY"]?.split(separator: ":").first, given.first == "/" {
            return ControlPlace(directory: String(given))
        }
        if let users = environment.variables["XDG_RUNTIME_DIR"], users.hasPrefix("/") {
            return ControlPlace(directory: "\(users)/culvert")
        }
        if environment.userID == 0 { return ControlPlace(directory: roots) }
        throw Failure(reason: "neither RUNTIME_DIRECTORY nor XDG_RUNTIME_DIR is set")
    }

    static let roots = "/run/culvert"

    func path(of process: Int) -> String { "\(directory)/\(Self.name(of: process))" }

    static func name(of process: Int) -> String { "\(process).sock" }

    /// Of a process that has died; in another user's directory it stays.
    func removeSocket(of process: Int) throws(IOError) {
        try OwnDirectory.removeSocket(Self.name(of: process), in: directory)
    }

    /// Makes the directory where it is not there. A socket of that name is a dead process's: numbers come again.
    func listen(process: Int) throws(Failure) -> ControlListener {
        let path = path(of: process)
        guard let address = SocketAddress(path: path) else { throw Failure(reason: "\(path): the path is too long") }
        do throws(IOError) {
            try OwnDirectory.prepare(directory)
            try removeSocket(of: process)
            return try ControlListener(at: address)
        } catch {
            throw Failure(reason: "\(path): \(error)")
        }
    }
}
