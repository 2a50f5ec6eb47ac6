import Foundation
import Testing

/// How often a server that does not answer is knocked at, counted on the wire (`Scripts/count_syns.py`); it takes root.
@Suite(
    .enabled(if: Subject.isCulvert, "ssh knocks as its kernel does"),
    .enabled(if: getuid() == 0, "NOT TESTED: a wire of its own takes a network namespace, which takes root"))
struct KnockTests {
    @Test("a path that swallows every SYN: at most 5 in any 30 s, the kernel's repetitions included")
    func swallowedPath() throws {
        try onStage { stage in
            let said = try stage.run([
                Tools.python, Tools.script("count_syns.py"), "45", Subject.path, "-F", "none", "--persist", "-L",
                "127.0.0.1:7000:127.0.0.1:9", "root@10.9.7.2",
            ])
            let numbers = said.split { !$0.isNumber }.compactMap { Int($0) }
            #expect(numbers.count == 3 && numbers[0] >= 6, "it goes on trying: \(said)")
            #expect(numbers.dropFirst().first.map { $0 <= 5 } == true, "\(said)")
        }
    }
}
