import Foundation
import Testing

@testable import CulvertSSH

/// The fuzzers' targets without a fuzzer: seeds, what they were damaged to, and every input that once ended a target.
/// `CULVERT_FUZZ_CORPUS` names a directory with one folder a target whose files are replayed too.
@Suite struct ReplayTests {
    private static let directory = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("Fuzz")

    private static func files(_ directory: URL) -> [[UInt8]] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: directory.path)) ?? []
        return names.sorted().compactMap { try? Array(Data(contentsOf: directory.appendingPathComponent($0))) }
    }

    @Test(arguments: FuzzTarget.all.map(\.name))
    func seedsAndWhatTheyAreDamagedTo(_ name: String) throws {
        let target = try #require(FuzzTarget.all.first { $0.name == name })
        let seeds = target.seeds()
        #expect(seeds.count >= 4 && seeds.allSatisfy { $0.count <= target.maximumLength })
        var state: UInt64 = 1
        func next(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(truncatingIfNeeded: state >> 33) % bound
        }
        for seed in seeds {
            target.body(seed)
            for _ in 0..<24 where !seed.isEmpty {
                var damaged = seed
                switch next(4) {
                case 0: damaged.removeLast(next(seed.count))
                case 1: damaged.removeSubrange(next(seed.count)..<seed.count)
                case 2: damaged.insert(UInt8(next(256)), at: next(seed.count))
                default:
                    for _ in 0...next(3) {
                        damaged[next(seed.count)] = UInt8([0, 1, 127, 128, 255, next(256)][next(6)])
                    }
                }
                target.body(damaged)
            }
        }
    }

    @Test func whatWasFoundOnceIsMended() throws {
        let regressions = Self.directory.appendingPathComponent("Regressions")
        let names = try FileManager.default.contentsOfDirectory(atPath: regressions.path)
        #expect(Set(names).isSubset(of: FuzzTarget.all.map(\.name)))
        var count = 0
        for target in FuzzTarget.all {
            for input in Self.files(regressions.appendingPathComponent(target.name)) {
                target.body(input)
                count += 1
            }
        }
        #expect(count > 0)
    }

    @Test(.enabled(if: ProcessInfo.processInfo.environment["CULVERT_FUZZ_CORPUS"] != nil))
    func aCorpus() throws {
        let corpus = URL(fileURLWithPath: ProcessInfo.processInfo.environment["CULVERT_FUZZ_CORPUS"] ?? "")
        var count = 0
        for target in FuzzTarget.all {
            for input in Self.files(corpus.appendingPathComponent(target.name)) {
                target.body(input)
                count += 1
            }
        }
        print("replayed \(count) inputs")
        #expect(count > 0)
    }

    /// Seeds that end at the first byte would teach a fuzzer nothing.
    @Test func theSeedsOfTheEnginesLeadFar() {
        let bare = FuzzTarget.driveConnection([2, 0x1a] + connectionStreams[0])
        #expect(bare.committed > 500 && bare.received == 200 && bare.fault == nil)
        let forwarded = FuzzTarget.driveConnection([2, 0x1a] + connectionStreams[1])
        #expect(forwarded.committed > 500 && forwarded.received == 50 && forwarded.fault == nil)
        let whole = FuzzTarget.driveEngine([0, 0x1a] + connectionStreams[0])
        #expect(whole.committed > 500 && whole.received == 200 && whole.fault == nil)
        let renewed = FuzzTarget.driveEngine([0, 0x1a] + connectionStreams[3])
        #expect(renewed.committed > 500 && renewed.received == 9 && renewed.fault == nil)
        #expect(renewed.server.exchangeCount == 3)
        let damaged = FuzzTarget.driveEngine([0, 0x1a] + connectionStreams[4])
        #expect(damaged.fault == .integrity)
    }

    @Test func theSeedsOfKeyFilesAreKeys() throws {
        func failure(_ text: [UInt8], _ words: String?) -> PrivateKeyFailure? {
            var phrase = Array((words ?? "").utf8)
            let passphrase = words == nil ? nil : Secret(wiping: &phrase)
            let contents = text.withUnsafeBytes { Secret(copying: $0) }
            do throws(PrivateKeyFailure) { _ = try PrivateKey(contents, passphrase: passphrase) } catch { return error }
            return nil
        }
        #expect(failure(armoured("OPENSSH PRIVATE KEY", KeyFileSeeds.openSSH), nil) == nil)
        #expect(failure(armoured("PRIVATE KEY", KeyFileSeeds.pkcs8), nil) == nil)
        let encrypted = armoured("ENCRYPTED PRIVATE KEY", KeyFileSeeds.encryptedPKCS8)
        #expect(failure(encrypted, nil) == .needsPassphrase)
        #expect(failure(encrypted, "phrase") == .wrongPassphrase)
    }

    /// A promise that is broken ends the process: else nothing here could fail.
    @Test func aPlantedFaultIsSeen() async {
        await #expect(processExitsWith: .failure) { FuzzTarget.control.body(Array("SSH!".utf8)) }
        FuzzTarget.control.body(Array("SSH?".utf8))
    }
}
