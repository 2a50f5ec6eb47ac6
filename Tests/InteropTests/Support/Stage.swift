import Foundation
import Testing

/// What one test runs on: a temporary directory, and the programs started in it, which end with the test.
final class Stage: @unchecked Sendable {
    let directory: String
    private let lock = NSLock()
    private var children: [Child] = []
    private var endings: [() -> Void] = []

    init() throws {
        var template = Array("/tmp/culvert-interop.XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Failure("no temporary directory can be made") }
        directory = text(template)
        // Programs that refuse to run as root (PostgreSQL) must be able to pass through it.
        chmod(directory, 0o755)
        Reaper.shared.register(directory: directory)
    }

    @discardableResult
    func start(_ name: String, _ command: [String], environment: [String: String] = [:]) throws -> Child {
        lock.lock()
        defer { lock.unlock() }
        let count = children.filter { $0.name == name || $0.name.hasPrefix(name + "-") }.count
        let unique = count == 0 ? name : "\(name)-\(count + 1)"
        let child = try Child(unique, command, in: directory, environment: environment)
        children.append(child)
        return child
    }

    /// Runs a program to its end and returns its standard output; an exit code other than 0 throws what it said.
    @discardableResult
    func run(
        _ command: [String], within deadline: Double = 60, environment: [String: String] = [:]
    ) throws -> String {
        let name = "run-" + (command[0] as NSString).lastPathComponent
        let child = try start(name, command, environment: environment)
        let ending = try child.waitForEnd(within: deadline)
        guard ending == .exited(0) else {
            throw Failure("\(command.joined(separator: " ")): \(ending)\n\(child.errorText)\(child.outputText)")
        }
        return child.outputText
    }

    func atEnd(_ action: @escaping () -> Void) { endings.append(action) }

    /// Writes a file into the directory and returns its path.
    func write(_ name: String, _ text: String, mode: mode_t = 0o644) throws -> String {
        let path = "\(directory)/\(name)"
        try text.write(toFile: path, atomically: false, encoding: .utf8)
        chmod(path, mode)
        return path
    }

    func close() {
        for action in endings.reversed() { action() }
        for child in children.reversed() { child.destroy() }
        try? FileManager.default.removeItem(atPath: directory)
    }

    /// The last lines that every program said, for a failed test.
    var logs: String {
        children.map { child in
            let lines = child.errorLines.suffix(25).joined(separator: "\n    ")
            return "  \(child.name) (\(child.ending.map(String.init(describing:)) ?? "running")):\n    \(lines)"
        }.joined(separator: "\n")
    }
}

/// Runs a test's body on a fresh stage; what it throws becomes an issue together with the programs' last lines.
func onStage(sourceLocation: SourceLocation = #_sourceLocation, _ body: (Stage) throws -> Void) throws {
    let stage = try Stage()
    defer { stage.close() }
    do {
        try body(stage)
    } catch {
        Issue.record("\(error)\n\(stage.logs)", sourceLocation: sourceLocation)
    }
}
