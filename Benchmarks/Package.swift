// swift-tools-version: 6.2
// What the parts of culvert cost: scenarios, a program that runs them for callgrind to count, and one that has them
// timed and counted by ordo-one/benchmark. `make bench` builds and judges them.
import PackageDescription

let rules: [SwiftSetting] = [
    .swiftLanguageMode(.v6), .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("ExistentialAny"), .enableUpcomingFeature("InternalImportsByDefault"),
]
// The name of the folder that holds the repository is anything, so the package is named here.
let modules = Target.Dependency.product(name: "CulvertModules", package: "culvert")
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")

/// Scenarios that must see what a target keeps to itself have its sources among theirs, as a link: compiled with them as
/// one module, they are optimised as they are in the product. What they share with the tests asks for ONE_MODULE.
func scenarios(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .target(
        name: "\(name)Scenarios", dependencies: ["Scenario"] + dependencies,
        swiftSettings: rules + [.define("ONE_MODULE")])
}

let package = Package(
    name: "benchmarks",
    dependencies: [
        .package(name: "culvert", path: ".."),
        .package(url: "https://github.com/apple/swift-crypto", exact: "4.5.2"),
        .package(url: "https://github.com/ordo-one/benchmark", exact: "1.38.1", traits: []),
    ],
    targets: [
        .target(name: "Scenario", swiftSettings: rules),
        scenarios("IO", [modules]),
        .target(name: "LibcryptoFloor", linkerSettings: [.linkedLibrary("crypto")]),
        scenarios("SSH", [modules, crypto, "LibcryptoFloor"]),
        scenarios("Relay", [modules]),
        scenarios("Config", [modules]),
        scenarios("Identity", [modules, crypto]),
        .target(
            name: "AllScenarios",
            dependencies: [
                "Scenario", "IOScenarios", "SSHScenarios", "RelayScenarios", "ConfigScenarios", "IdentityScenarios",
            ], swiftSettings: rules),
        .executableTarget(name: "count", dependencies: ["AllScenarios", "Scenario"], swiftSettings: rules),
        .executableTarget(
            name: "CulvertBenchmarks",
            dependencies: ["AllScenarios", "Scenario", .product(name: "Benchmark", package: "benchmark")],
            path: "CulvertBenchmarks", swiftSettings: rules,
            plugins: [.plugin(name: "BenchmarkPlugin", package: "benchmark")]),
    ]
)
