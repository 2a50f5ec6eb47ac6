import Foundation
import Testing

/// The scripts that measure: what they make of their results is tested without measuring.
@Suite struct PerfTests {
    /// Runs a script of the repository; its exit code and what it printed.
    private static func run(_ words: [String]) throws -> (code: Int32, output: String) {
        try run(command: ["python3"] + words)
    }

    private static func run(command words: [String]) throws -> (code: Int32, output: String) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["PYTHONDONTWRITEBYTECODE=1"] + words
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

    @Test("the tests of what is made of measurements pass", arguments: ["comparison", "recovering"])
    func tests(_ folder: String) throws {
        let (code, output) = try Self.run(["perf/\(folder)/tests.py"])
        #expect(code == 0, "\(output)")
        #expect(output.contains("\nOK\n"), "\(output)")
    }

    /// Builds a program of a few lines with `options`, and has it judged. What was complained about, nil for nothing.
    private static func judge(_ options: [String], removesRunPath: Bool = false, text: String = "") throws -> String? {
        let directory = NSTemporaryDirectory() + "culvert-hardening-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let source = "\(directory)/program.c"
        try """
        #include <stdio.h>
        #include <string.h>
        const char *place = "\(text)";
        int main(int count, char **words) {
            char copy[8];
            strcpy(copy, words[count - 1]);
            return printf("%s%s\\n", copy, place) < 0;
        }
        """.write(toFile: source, atomically: true, encoding: .utf8)
        let program = "\(directory)/program"
        let (built, said) = try run(command: ["clang", "-O2", "-o", program, source] + options)
        try #require(built == 0, "\(said)")
        if removesRunPath {
            let (code, output) = try run(command: ["perf/remove-runpath", program])
            try #require(code == 0, "\(output)")
            // It still runs.
            #expect(try run(command: [program, "word"]).output == "word\(text)\n")
        }
        let (code, output) = try run(command: ["perf/check-libraries", program])
        return code == 0 ? nil : output.replacing(program, with: "program")
    }

    private static let hardened = ["-fPIE", "-pie", "-D_FORTIFY_SOURCE=2", "-Wl,-z,now", "-Wl,-z,relro"]

    @Test("a program that is hardened passes, and a RUNPATH can be taken out")
    func hardening() throws {
        #expect(try Self.judge(Self.hardened) == nil)
        let withPath = Self.hardened + ["-Wl,--enable-new-dtags", "-Wl,-rpath,/somewhere:$ORIGIN"]
        #expect(try Self.judge(withPath, removesRunPath: true) == nil)
    }

    @Test(
        "a program that is not hardened, or tells where it was built, is refused",
        arguments: [
            ("-Wl,-rpath,$ORIGIN", "", "looks for libraries where it was built"),
            ("-Wl,-z,lazy", "", "binds symbols when they are used"),
            ("-U_FORTIFY_SOURCE", "", "was built without _FORTIFY_SOURCE"),
            ("-Wl,-z,execstack", "", "has a stack that can be executed"),
            ("-O2", "/home/somebody/culvert/Sources", "says where it was built"),
        ])
    func notHardened(_ option: String, _ text: String, _ complaint: String) throws {
        let found = try Self.judge(Self.hardened + [option], text: text)
        #expect(found?.contains("program \(complaint)") == true, "\(found ?? "passed")")
    }

    @Test("README.md shows the newest results in perf/results")
    func readme() throws {
        let (code, output) = try Self.run(["perf/report", "--check"])
        #expect(code == 0, "\(output)")
    }
}
