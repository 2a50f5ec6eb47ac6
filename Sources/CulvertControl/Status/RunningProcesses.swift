internal import CulvertConfig
internal import CulvertIO
internal import FoundationEssentials

/// The culverts whose control sockets this user may use.
enum RunningProcesses {
    private static let patience = Tick.Span.seconds(5)

    /// In the order of their numbers. A socket that a dead process has left is removed. A process that does not answer is
    /// there without tunnels but one, which says so.
    static func ask(_ environment: ConfigurationEnvironment, withFlows: Bool) -> [ProcessDocument] {
        var found: [ProcessDocument] = []
        for (place, process) in sockets(environment) {
            do throws(HTTPClient.Failure) {
                let answer = try HTTPClient.get(
                    "/v1/tunnels?flows=\(withFlows ? "yes" : "no")", at: place.path(of: process),
                    deadline: Tick.current() + patience)
                guard answer.status == 200, let document = JSON.document(ProcessDocument.self, from: answer.body),
                    document.pid == process
                else {
                    throw .silent
                }
                found.append(document)
            } catch {
                switch error {
                case .gone: if !OwnDirectory.isRunning(Int32(process)) { try? place.removeSocket(of: process) }
                // Another user's.
                case .refused: continue
                case .silent: found.append(silent(process))
                }
            }
        }
        return found.sorted { $0.pid < $1.pid }
    }

    private static func silent(_ process: Int) -> ProcessDocument {
        let name = "process \(process)"
        return ProcessDocument(
            pid: process, version: "", uptimeSeconds: 0,
            tunnels: [TunnelDocument(name, "", nil, withFlows: false)])
    }

    /// By process.
    private static func sockets(_ environment: ConfigurationEnvironment) -> [(ControlPlace, process: Int)] {
        var sockets: [(ControlPlace, Int)] = []
        for directory in directories(environment) {
            for name in names(in: directory) where name.hasSuffix(".sock") {
                guard let process = Int32(name.dropLast(5)), process > 0 else { continue }
                sockets.append((ControlPlace(directory: directory), Int(process)))
            }
        }
        return sockets
    }

    private static func directories(_ environment: ConfigurationEnvironment) -> [String] {
        var directories: [String] = []
        if let own = try? ControlPlace.own(environment) { directories.append(own.directory) }
        if let users = environment.variables["XDG_RUNTIME_DIR"], users.hasPrefix("/") {
            directories.append("\(users)/culvert")
        }
        directories.append(ControlPlace.roots)
        directories += names(in: ControlPlace.roots).map { "\(ControlPlace.roots)/\($0)" }
        var seen: Set<String> = []
        return directories.filter { seen.insert($0).inserted }
    }

    /// None where there is no directory, or where this user may not look.
    private static func names(in directory: String) -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []).sorted()
    }
}
