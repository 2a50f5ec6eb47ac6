import Foundation
import Testing

/// The rules of the house that a program can check.
@Suite struct TidyTests {
    @Test("every rule holds for every file", arguments: Rule.all)
    func holds(_ rule: Rule) throws {
        let files = try Repository.files()
        try #require(files.count > 20, "the files of the repository are found")
        let findings = files.flatMap(rule.findings)
        #expect(findings.isEmpty, "\(findings.map(\.description).joined(separator: "\n"))")
    }

    @Test("every rule can fail", arguments: Rule.all)
    func canFail(_ rule: Rule) {
        #expect(!rule.findings(rule.offender()).isEmpty)
    }

    @Test(
        "imports are read in every spelling",
        arguments: [
            ("import CLinux", "CLinux", []), ("internal import CLinux", "CLinux", ["internal"]),
            ("@testable import CulvertIO", "CulvertIO", ["@testable"]),
            ("public import struct CulvertSSH.SSHError", "CulvertSSH", ["public"]),
            ("@_exported public import Foundation.NSURL", "Foundation", ["@_exported", "public"]),
        ])
    func spellings(_ line: String, _ module: String, _ attributes: [String]) throws {
        let found = try #require(Rule.importedModule(line))
        #expect(found.module == module)
        #expect(found.attributes == attributes)
    }

    @Test(
        "what is no import is not read as one", arguments: ["// we import CLinux here", "let text = \"import CLinux\""])
    func notImports(_ line: String) { #expect(Rule.importedModule(line) == nil) }

    /// The targets that Package.swift declares.
    static func declaredTargets(_ manifest: String) -> Set<String> {
        let kinds = [".target(", ".executableTarget(", ".testTarget(", ".systemLibrary("]
        var found: Set<String> = []
        for kind in kinds {
            for piece in manifest.components(separatedBy: kind).dropFirst() {
                let words = piece.components(separatedBy: "name: \"").dropFirst()
                if let name = words.first?.components(separatedBy: "\"").first { found.insert(name) }
            }
        }
        return found
    }

    static func unnamed(_ targets: Set<String>, in architecture: String) -> [String] {
        targets.filter { !architecture.contains("`\($0)`") }.sorted()
    }

    @Test("ARCHITECTURE.md names every target, and every target has a folder")
    func architecture() throws {
        let manifest = try String(contentsOfFile: "\(Repository.root)/Package.swift", encoding: .utf8)
        let targets = Self.declaredTargets(manifest)
        try #require(targets.contains("CulvertIO") && targets.contains("culvert") && targets.contains("CLibSSH2"))
        let architecture = try String(contentsOfFile: "\(Repository.root)/ARCHITECTURE.md", encoding: .utf8)
        let missing = Self.unnamed(targets, in: architecture)
        #expect(missing.isEmpty, "ARCHITECTURE.md does not name \(missing)")
        for target in targets {
            let folders = ["Sources", "Tests"].filter {
                FileManager.default.fileExists(atPath: "\(Repository.root)/\($0)/\(target)")
            }
            #expect(folders.count == 1, "\(target)")
        }
    }

    @Test("the check of ARCHITECTURE.md can fail")
    func architectureCanFail() {
        let targets = Self.declaredTargets(#".target(name: "One"), .executableTarget(\n name: "two")"#)
        #expect(targets == ["One", "two"])
        #expect(Self.unnamed(targets, in: "`One` is there") == ["two"])
    }

    /// The script plants each fault, and sees itself end with exit code 1.
    @Test("the judgement of the benchmarks can fail")
    func benchmarks() throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["python3", "\(Repository.root)/Benchmarks/run", "--self-test"]
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        try process.run()
        let said = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        #expect(process.terminationStatus == 0, "\(said)")
        #expect(said.contains("6 kinds of fault"))
    }

    @Test("both programs have one version")
    func versions() throws {
        let files = try Repository.files().filter { $0.path.hasPrefix("Sources/") && $0.isSwift }
        let declared = files.flatMap(\.lines).filter {
            $0.range(of: "let (culvertV|v)ersion = \"", options: .regularExpression) != nil
        }
        let versions = Set(declared.compactMap { $0.components(separatedBy: "\"").dropFirst().first })
        #expect(declared.count == 2 && versions.count == 1, "\(declared)")
    }

    @Test("the README's long options exist")
    func options() throws {
        let readme = try String(contentsOfFile: "\(Repository.root)/README.md", encoding: .utf8)
        let sources = try Repository.files().filter { $0.path.hasPrefix("Sources/CulvertConfig/") }.map(\.text).joined()
        let unknown = Self.optionsOfCulvert(readme).filter { !sources.contains($0) }
        #expect(unknown.isEmpty, "no such option: \(unknown.sorted())")
    }

    @Test("the README's options of culvert-load exist")
    func optionsOfLoad() throws {
        let readme = try String(contentsOfFile: "\(Repository.root)/README.md", encoding: .utf8)
        let sources = try Repository.files().filter { $0.path.hasPrefix("Sources/culvert-load/") }.map(\.text).joined()
        let named = Self.options(readme, of: "culvert-load ")
        #expect(named.isSuperset(of: ["--load", "--rate"]), "they are found")
        // Each is declared as a variable, its words joined as Swift joins them.
        let unknown = named.filter { option in
            let words = option.dropFirst(2).split(separator: "-")
            let name = words[0] + words.dropFirst().map(\.capitalized).joined()
            return name != "help" && !sources.contains("var \(name):") && !sources.contains("var \(name) =")
        }
        #expect(unknown.isEmpty, "no such option: \(unknown.sorted())")
    }

    /// The long options on lines that call culvert.
    static func optionsOfCulvert(_ text: String) -> Set<String> { options(text, of: "culvert ") }

    /// The long options on lines that call `program`, whose name ends in a space.
    static func options(_ text: String, of program: String) -> Set<String> {
        var found: Set<String> = []
        for line in text.components(separatedBy: "\n") where line.contains(program) {
            for word in line.split(whereSeparator: { " `|[]()=,".contains($0) }) where word.hasPrefix("--") {
                let name = word.prefix { $0 == "-" || $0.isLetter }
                if name.count > 2 { found.insert(String(name)) }
            }
        }
        return found
    }

    @Test("the check of the README can fail")
    func optionsCanFail() {
        #expect(Self.optionsOfCulvert("    culvert --lnks 4 -L 1:a:2 host\nmake --jobs") == ["--lnks"])
    }
}
