import Foundation
import Testing

/// README.md's examples, run as a reader types them (`Scripts/readme_examples.py`); it takes root.
@Suite(
    .serialized, .enabled(if: Subject.isCulvert && Subject.engine == nil, "README tells of culvert as it is"),
    .enabled(if: getuid() == 0, "NOT TESTED: a world of its own takes namespaces, which take root"))
struct ReadmeTests {
    private static let load: String = {
        let own = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        return (own as NSString).deletingLastPathComponent + "/culvert-load"
    }()

    private static func run(_ stage: Stage, _ readme: String) throws -> Child {
        let directory = "\(stage.directory)/reader"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false)
        return try stage.start(
            "reader",
            [
                "unshare", "--net", "--mount", "/usr/bin/python3", Tools.script("readme_examples.py"), readme,
                Subject.path, load, directory,
            ])
    }

    @Test("every example works as typed")
    func examples() throws {
        try onStage { stage in
            let reader = try Self.run(stage, "\(Tools.root)/README.md")
            let ending = try reader.waitForEnd(within: 180)
            #expect(ending == .exited(0), "\(reader.outputText)\(reader.errorText)")
            #expect(reader.outputText.contains("ok culvert -L"))
            #expect(reader.outputText.contains("ok culvert up"))
            #expect(reader.outputText.contains("ok culvert-load"))
        }
    }

    @Test("an example that does not work is found")
    func control() throws {
        try onStage { stage in
            let readme = try stage.write(
                "README.md",
                "```\nculvert -L 1:db:1 user@server  # fine\nculvert --lnks 2 -L 1:db:1 user@server\nculvert check no.toml\n```\n"
            )
            let reader = try Self.run(stage, readme)
            #expect(try reader.waitForEnd(within: 60) == .exited(1))
            #expect(reader.outputText.contains("ok culvert -L 1:db:1 user@server\nFAILED culvert --lnks"))
            #expect(reader.outputText.hasSuffix("3 examples, 2 failed\n"))
        }
    }
}
