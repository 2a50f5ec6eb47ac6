import Foundation

/// A file of the repository, as the rules see it.
struct SourceFile {
    /// Relative to the root of the package, e.g. `Sources/CulvertIO/Slots.swift`.
    let path: String
    let text: String

    var lines: [String] { text.components(separatedBy: "\n") }

    /// The folder under `Sources` or `Tests` that holds it: the target's name.
    var target: String? {
        let parts = path.split(separator: "/")
        guard parts.count > 2, parts[0] == "Sources" || parts[0] == "Tests" else { return nil }
        return String(parts[1])
    }

    var isSwift: Bool { path.hasSuffix(".swift") }
    var isProduct: Bool { path.hasPrefix("Sources/") }
}

/// The files of the repository.
enum Repository {
    static let root: String = {
        // TidyTests and Tests lie between this file and the root.
        var path = #filePath as NSString
        for _ in 0..<3 { path = path.deletingLastPathComponent as NSString }
        return path as String
    }()

    private static let folders = ["Sources", "Tests", "perf", "Benchmarks", ".ci"]
    private static let kinds: Set<String> = ["swift", "c", "h", "md", "py", "sh", "txt", "modulemap", "toml", "yml"]
    /// Files without an extension that are text of ours.
    private static let names: Set<String> = ["Makefile", "run", ".gitignore", ".swift-format"]

    static func files() throws -> [SourceFile] {
        var paths = try FileManager.default.contentsOfDirectory(atPath: root)
        for folder in folders {
            for path in FileManager.default.enumerator(atPath: "\(root)/\(folder)") ?? .init() {
                if let path = path as? String { paths.append("\(folder)/\(path)") }
            }
        }
        return try paths.sorted().compactMap { path in
            let name = (path as NSString).lastPathComponent
            guard kinds.contains((path as NSString).pathExtension) || names.contains(name) else { return nil }
            guard !path.contains(".build/") else { return nil }
            return SourceFile(path: path, text: try String(contentsOfFile: "\(root)/\(path)", encoding: .utf8))
        }
    }
}
