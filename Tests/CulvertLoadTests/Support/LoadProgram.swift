import Foundation

/// The program as people run it: the one that was built beside the tests.
final class LoadProgram {
    struct NotInTime: Error {}
    struct NoFile: Error {}

    static let path: String = {
        let own = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        return (own as NSString).deletingLastPathComponent + "/culvert-load"
    }()

    let process = Process()
    private let directory: String
    var output: String { read("out") }
    var errors: String { read("err") }

    init(_ arguments: [String], program: String = LoadProgram.path) throws {
        directory = NSTemporaryDirectory() + "culvert-load-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = try file("out")
        process.standardError = try file("err")
        try process.run()
    }

    deinit {
        if process.isRunning { kill(process.processIdentifier, SIGKILL) }
        try? FileManager.default.removeItem(atPath: directory)
    }

    private func file(_ name: String) throws -> FileHandle {
        guard FileManager.default.createFile(atPath: "\(directory)/\(name)", contents: nil) else { throw NoFile() }
        return try FileHandle(forWritingTo: URL(fileURLWithPath: "\(directory)/\(name)"))
    }

    private func read(_ name: String) -> String {
        (try? String(contentsOfFile: "\(directory)/\(name)", encoding: .utf8)) ?? ""
    }

    /// Asks until `found` has something.
    @discardableResult
    func wait<Found>(within seconds: Double = 20, _ found: () -> Found?) throws -> Found {
        let end = Date(timeIntervalSinceNow: seconds)
        while true {
            if let it = found() { return it }
            guard Date() < end else { throw NotInTime() }
            usleep(2000)
        }
    }

    func waitForEnd() throws -> Int32 {
        try wait { process.isRunning ? nil : true }
        process.waitUntilExit()
        return process.terminationReason == .exit ? process.terminationStatus : -process.terminationStatus
    }

    /// Runs a workload to its end.
    static func run(_ arguments: [String], program: String = LoadProgram.path) throws -> (
        status: Int32, output: String, errors: String
    ) {
        let program = try LoadProgram(arguments, program: program)
        let status = try program.waitForEnd()
        return (status, program.output, program.errors)
    }

    /// Runs a workload with `--json`, and reads what it prints.
    static func figures(_ arguments: [String]) throws -> (status: Int32, json: [String: Any]) {
        let run = try run(arguments + ["--json"])
        let parsed = try JSONSerialization.jsonObject(with: Data(run.output.utf8))
        return (run.status, parsed as? [String: Any] ?? [:])
    }
}

/// A running `culvert-load serve`, ended with its owner.
final class LoadServer {
    let program: LoadProgram
    private(set) var ports: [String: UInt16] = [:]

    init(_ arguments: [String] = []) throws {
        program = try LoadProgram(["serve"] + arguments)
        let program = program
        ports = try program.wait {
            let lines = program.output.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
            guard lines.count == 6 || !arguments.isEmpty && !lines.isEmpty else { return nil }
            return Dictionary(
                uniqueKeysWithValues: lines.compactMap { line -> (String, UInt16)? in
                    let words = line.split(separator: " ")
                    guard words.count == 2, let port = UInt16(words[1].split(separator: ":").last ?? "") else {
                        return nil
                    }
                    return (String(words[0]), port)
                })
        }
    }

    var load: UInt16 { ports["load"] ?? 0 }
    var target: String { "127.0.0.1:\(load)" }
}
