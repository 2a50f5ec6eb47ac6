import Foundation
import Testing

/// The scripts that measure: what they make of their results is tested without measuring.
@Suite struct PerfTests {
    /// Runs a script of the repository; its exit code and what it printed.
    private static func run(_ words: [String]) throws -> (code: Int32, output: String) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["PYTHONDONTWRITEBYTECODE=1", "python3"] + words
        process.currentDirectoryURL = URL(fileURLWithPath: Repository.root)
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        process.standardInput = FileHandle.nullDevice
        try process.run()
        let output = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return (process.terminationStatus, output)
    }

    @Test("the tests of perf/comparison pass")
    func comparison() throws {
        let (code, output) = try Self.run(["perf/comparison/tests.py"])
        #expect(code == 0, "\(output)")
        #expect(output.contains("\nOK\n"), "\(output)")
    }

    @Test("README.md shows the newest results in perf/results")
    func readme() throws {
        let (code, output) = try Self.run(["perf/report", "--check"])
        #expect(code == 0, "\(output)")
    }
}
