import Foundation
import Testing

@testable import CulvertConfig

/// `-G` of ssh and of culvert over a corpus of files and command lines: they agree but for `AllowedDifference.all`.
@Suite struct CorpusTests {
    static let cases =
        HandwrittenCorpus.cases + CommandLineCorpus.cases + TypedLinesCorpus.cases + RealFilesCorpus.cases
        + SystemFilesCorpus.cases
        + RegressCorpus.cases + GeneratedCorpus.cases + CorpusTable.cases

    @Test func culvertReadsWhatSSHReads() throws {
        #expect(Set(Self.cases.map(\.name)).count == Self.cases.count)
        let corpus = try Corpus()
        defer { corpus.remove() }
        let process = try corpus.startSSH(Self.cases)
        let answers = Self.cases.enumerated().map { corpus.askCulvert($1, at: $0) }
        let ssh = try corpus.answers(of: process, Self.cases)
        #expect(AllowedDifference.all.count < 10)
        // Neither what is generated nor files of one line counts for these.
        #expect(CorpusTable.files.count >= 300 && CorpusTable.lines.count >= 150)
        var unused = Set(AllowedDifference.all.flatMap(\.parts))
        var refused = 0
        for (index, each) in Self.cases.enumerated() {
            let culvert = answers[index]
            if ssh[index].lines == nil { refused += 1 }
            for difference in Self.differences(ssh[index], culvert) {
                let allowed = AllowedDifference.all.filter { $0.covers(difference, each.name) }
                unused.subtract(allowed.flatMap(\.parts).filter { $0.covers(each.name) })
                #expect(!allowed.isEmpty, "\(each.name): \(difference.words)\nfor \(each.words):\n\(each.file)")
            }
            #expect(Self.order(ssh[index], culvert), "\(each.name): the keys come in another order")
        }
        for part in unused { Issue.record("this difference is gone: \(part.reason): \(part.name)") }
        // Most of the corpus must say something about values.
        #expect(refused * 3 < Self.cases.count, "ssh refuses \(refused) of \(Self.cases.count)")
    }

    private static func differences(_ ssh: CorpusAnswer, _ culvert: CorpusAnswer) -> [CorpusDifference] {
        switch (ssh.lines, culvert.lines) {
        case (nil, nil): return []
        case (nil, _): return [CorpusDifference(kind: .accepted, words: "ssh refuses: \(ssh.reason)")]
        case (_, nil): return [CorpusDifference(kind: .refused, words: "culvert refuses: \(culvert.reason)")]
        default: break
        }
        let (theirs, mine) = (ssh.values, culvert.values)
        return Set(theirs.keys).union(mine.keys.filter { !$0.hasPrefix("culvert") }).sorted().compactMap { key in
            let (left, right) = (theirs[key] ?? [], mine[key] ?? [])
            if left == right { return nil }
            return CorpusDifference(
                kind: .value(key), ssh: left, culvert: right, words: "\(key): ssh \(left), culvert \(right)")
        }
    }

    private static func order(_ ssh: CorpusAnswer, _ culvert: CorpusAnswer) -> Bool {
        let both = Set(ssh.keys).intersection(culvert.keys)
        return ssh.keys.filter(both.contains) == culvert.keys.filter(both.contains)
    }
}
