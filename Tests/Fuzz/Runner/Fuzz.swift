import FuzzBodies
import Glibc

/// The target that CULVERT_FUZZ names.
private let target: FuzzTarget = {
    let name = getenv("CULVERT_FUZZ").map { String(cString: $0) } ?? ""
    for target in FuzzTarget.all + [.control] where target.name == name { return target }
    print("CULVERT_FUZZ: one of \(FuzzTarget.all.map(\.name).joined(separator: " "))")
    exit(2)
}()

/// Before libFuzzer reads its arguments: `CULVERT_FUZZ_LIST` prints the targets with their greatest lengths,
/// `CULVERT_FUZZ_SEEDS=DIRECTORY` writes the target's seeds there; both end the program.
@_cdecl("LLVMFuzzerInitialize")
public func initialize(_ count: UnsafeMutablePointer<CInt>, _ words: UnsafeMutableRawPointer) -> CInt {
    if getenv("CULVERT_FUZZ_LIST") != nil {
        for target in FuzzTarget.all { print(target.name, target.maximumLength) }
        exit(0)
    }
    if let directory = getenv("CULVERT_FUZZ_SEEDS") {
        for (index, seed) in target.seeds().enumerated() {
            guard let file = fopen("\(String(cString: directory))/seed-\(index)", "wb"),
                fwrite(seed, 1, seed.count, file) == seed.count, fclose(file) == 0
            else {
                perror("a seed")
                exit(1)
            }
        }
        exit(0)
    }
    return 0
}

@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    target.body(Array(UnsafeBufferPointer(start: start, count: count)))
    return 0
}
