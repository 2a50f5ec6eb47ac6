import Foundation

/// Programs from elsewhere that the tests call, and where they are.
enum Tools {
    /// The root of the package.
    static let root: String = {
        // Support, InteropTests and Tests lie between this file and the root.
        var path = #filePath as NSString
        for _ in 0..<4 { path = path.deletingLastPathComponent as NSString }
        return path as String
    }()

    /// A Python that has the packages of Scripts/requirements.txt; `make tools` puts it there.
    static let python: String = {
        ProcessInfo.processInfo.environment["CULVERT_PYTHON"] ?? "\(root)/.build/tools/bin/python"
    }()

    static func script(_ name: String) -> String { "\(root)/Tests/InteropTests/Scripts/\(name)" }

    /// Servers of which Scripts has the source, for `make tools` to compile.
    static func built(_ name: String) -> String { "\(root)/.build/peers/\(name)" }

    /// A source tree in which a newer OpenSSH than the system's was built: `OPENSSH` names it.
    static let openSSH = ProcessInfo.processInfo.environment["OPENSSH"].flatMap { $0.isEmpty ? nil : $0 }

    /// tinyssh's programs, which `make tools` unpacks.
    static func tinySSH(_ name: String) -> String { "\(root)/.build/tinyssh/usr/sbin/\(name)" }

    /// PostgreSQL's programs, which Debian keeps out of PATH.
    static func postgreSQL(_ name: String) throws -> String {
        let versions = ((try? FileManager.default.contentsOfDirectory(atPath: "/usr/lib/postgresql")) ?? [])
            .compactMap { Int($0) }.sorted()
        guard let newest = versions.last else { throw Failure("PostgreSQL is not installed: make tools installs it") }
        return "/usr/lib/postgresql/\(newest)/bin/\(name)"
    }
}
